"""Python's own source as running text: no module in two splits, the next character as the label."""

from __future__ import annotations

import sys
import sysconfig

import numpy as np
import pytest

from kdcore import inputs, registry
from kdcore.data.dataset import load
from kdcore.data.places import place
from kdcore.data.prepare import fingerprint
from kdcore.data.sets.python_source import PythonSource, python_source
from kdcore.data.texts.running import EXCERPT, budgeted, excerpts
from kdcore.problems import RecipeError
from tests import gpt2


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


def test_by_characters_it_is_what_it_was_before_tokens_came(library):
    fill(library)
    assert fingerprint(python_source(PythonSource(characters=20_000, window=64)))[:16] == "8ae85de8e5ebde91"
    chosen = registry.validate("dataset", "python_source")
    assert place(chosen).name == "4b8a815e240f"


@pytest.fixture
def folder(tmp_path_factory):
    text = "".join(f"module_{number:02d} = {number % 2}\n" for number in range(20))
    return gpt2.folder(tmp_path_factory.mktemp("gpt2"), words=gpt2.tokenizer(text * 9))


def test_tokens_are_labelled_with_the_next_one_and_hold_the_same_text(library, folder):
    fill(library)
    (library / "package" / "inner.py").unlink()
    found = python_source(PythonSource(characters=20_000, window=32, tokenizer=str(folder)))
    known = python_source(PythonSource(characters=20_000, window=32))
    assert (found.kind, known.kind) == ("tokens", "passages")
    text = known.test_images.tokenizer.decoded(known.test_images.windows.ids.ravel())
    for items, labels in ((found.train_images, found.train_labels), (found.test_images, found.test_labels)):
        ids, splits = items.windows.ids, items.tokenizer
        np.testing.assert_array_equal(ids[:, 1:] - 2, labels.reshape(-1, 32)[:, :-1])
        counted = inputs.named("tokens").characters(items, labels).sum()
        assert counted == sum(len(splits.decoded([label + 2])) for label in labels)
    for window in found.test_images.windows.ids:
        assert splits.decoded(window) in text + text[-1:]
    assert len(found.classes) == len(splits.words) < 300
    assert "module" in found.classes
    assert "characters on average" in found.notes[-1]
    assert counted > 1.5 * len(labels)


def test_a_window_longer_than_any_excerpt_is_refused(library, folder):
    fill(library)
    (library / "package" / "inner.py").unlink()
    with pytest.raises(RecipeError, match="give a smaller window") as refused:
        python_source(PythonSource(characters=20_000, window=256, tokenizer=str(folder)))
    assert refused.value.problems[0].field == "data.source.window"


def test_a_tokenizer_that_cannot_be_used_is_refused_at_its_field(library, folder, monkeypatch):
    fill(library)
    asked = PythonSource(characters=20_000, tokenizer=str(folder))
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(RecipeError, match=r"pip install 'kdcore\[text\]'") as refused:
        python_source(asked)
    assert refused.value.problems[0].field == "data.source.tokenizer"
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(RecipeError, match=r"tokenizer\.json in .* cannot be read"):
        python_source(asked)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(RecipeError, match=r"has no tokenizer\.json"):
        load(registry.validate("dataset", asked.model_dump() | {"dataset": "python_source"}))


def test_it_is_cut_again_where_the_tokenizer_has_changed(folder):
    asked = registry.validate("dataset", {"dataset": "python_source", "tokenizer": str(folder)})
    before = place(asked)
    gpt2.folder(folder, words=gpt2.tokenizer("another text, and another cut of it", 280))
    assert place(asked) != before
