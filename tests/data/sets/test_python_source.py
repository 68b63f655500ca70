"""Python's own source as running text: no module in two splits, the next character as the label."""

from __future__ import annotations

import sysconfig

import numpy as np
import pytest

from kdcore import registry
from kdcore.data.sets.python_source import PythonSource, python_source
from kdcore.data.texts.running import EXCERPT, budgeted, excerpts
from kdcore.problems import RecipeError


@pytest.fixture
def library(tmp_path, monkeypatch):
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    return tmp_path


def fill(library):
    for number in range(20):
        text = f"# module {number:02d}\n" + f"module_{number:02d} = {number % 2}\n" * 120
        (library / f"one{number:02d}.py").write_text(text)
    (library / "test").mkdir()
    (library / "test" / "secret.py").write_text("q" * 4000)
    (library / "package").mkdir()
    (library / "package" / "inner.py").write_text("ä\t" * 3000)


def test_labels_are_the_next_characters_and_no_module_is_in_two_splits(library):
    fill(library)
    found = python_source(PythonSource(characters=20_000, window=64))
    for items, labels in ((found.train_images, found.train_labels), (found.test_images, found.test_labels)):
        assert len(items) == len(labels)
        ids = items.windows.ids.reshape(-1, EXCERPT)
        np.testing.assert_array_equal(ids[:, 1:] - 2, labels.reshape(-1, EXCERPT)[:, :-1])
    texts = [part.tokenizer.decoded(part.windows.ids.ravel()) for part in (found.train_images, found.test_images)]
    modules = [{text[at + 7 : at + 9] for at in range(len(text)) if text.startswith("module_", at)} for text in texts]
    assert all(modules)
    assert not modules[0] & modules[1]
    assert not any("q" in text for text in texts)  # the library's own tests are left out
    assert found.classes[:2] == ("↵", "␣")


def test_the_budget_is_shared_out_in_turn():
    documents = {"long": ["a"] * 5, "short": ["b"], "other": ["c"] * 3}
    assert budgeted(documents, 5 * EXCERPT) == {"long": ["a", "a"], "short": ["b"], "other": ["c", "c"]}
    assert excerpts("x" * EXCERPT) == []
    assert [len(one) for one in excerpts("x" * (2 * EXCERPT + 1))] == [EXCERPT + 1] * 2


def test_a_python_without_source_is_told_so(library):
    with pytest.raises(RecipeError, match="no source"):
        python_source(PythonSource())


def test_it_is_offered_with_its_options():
    options = registry.validate("dataset", {"dataset": "python_source", "window": 128})
    assert (options.characters, options.window) == (240_000, 128)
