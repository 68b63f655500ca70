"""Passages by tokens: what is saved comes back, damage is found, and disturbances leave every token in its place."""

from __future__ import annotations

import json

import numpy as np
import pytest

from kdcore import inputs
from kdcore.files import read_json
from kdcore.inputs.kind import SEVERITIES
from kdcore.inputs.text import TextShape
from tests import gpt2, pairs

KIND = inputs.named("tokens")


@pytest.fixture(scope="module")
def items(tmp_path_factory):
    return gpt2.passages(gpt2.folder(tmp_path_factory.mktemp("gpt2")), 8)


def test_their_shape_is_one_of_running_text_and_knows_the_tokenizer(items):
    shape = KIND.shape(items)
    assert json.loads(json.dumps(shape)) == ["tokens", 8, 8, items.tokenizer.vocabulary, items.tokenizer.digest]
    assert shape.splits is items.tokenizer
    assert shape == TextShape(*shape)
    assert inputs.of(shape) is KIND
    assert (KIND.read_as, KIND.judged_by, KIND.in_one(shape)) == ("passages", "bits", 8)
    assert "tokens" in KIND.size(shape)


def test_what_is_saved_comes_back_and_damage_is_found(items, tmp_path):
    KIND.save(items, tmp_path, "test_images")
    back = KIND.load(tmp_path, "test_images")
    assert back.tokenizer == items.tokenizer
    shape, count = KIND.shape(items), len(items)
    assert KIND.fits(tmp_path, "test_images", shape, count)
    assert not KIND.fits(tmp_path, "test_images", (*shape[:4], "other"), count)
    path = tmp_path / "test_images.tokenizer.json"
    for damage in ({"merges": [["a"]]}, {"tokenizer": "characters", "alphabet": "ab"}):
        path.write_text(json.dumps(items.tokenizer.document() | damage))
        assert not KIND.fits(tmp_path, "test_images", shape, count)
    assert not inputs.named("passages").fits(tmp_path, "test_images", shape, count)
    assert read_json(path)["alphabet"] == "ab"


@pytest.mark.parametrize("name", KIND.corruptions)
def test_a_corruption_changes_more_tokens_the_stronger_it_is(items, name):
    some = items[np.arange(len(items))]
    changed = [KIND.corrupted(some, name, severity) for severity in SEVERITIES]
    shares = [(one.windows.ids != items.windows.ids).mean() for one in changed]
    assert 0 < shares[0] < shares[-1]
    assert all(one.windows.ids.shape == items.windows.ids.shape for one in changed)
    alone = KIND.corrupted(items[[3]], name, 5)  # the same whatever stands beside it
    np.testing.assert_array_equal(alone.windows.ids[0], changed[-1].windows.ids[0])


def test_a_disturbed_token_keeps_its_place(items):
    one = items[[13]]
    asked = [{}, {"wrong_tokens": 60.0}, {"swapped_tokens": 60.0}]
    found = KIND.disturbed(one, asked)
    assert len(found) == 3
    assert found.context(0) == one.context(0)
    assert KIND.feed(found).shape == (3, 8)
    assert set(asked[1] | asked[2]) == set(KIND.disturbances(KIND.shape(items)))


def test_characters_count_one_each():
    items, labels = pairs.passages()
    np.testing.assert_array_equal(inputs.named("passages").characters(items, labels), np.ones(len(labels)))
