"""Passages: an example is a character, a network answers all places of a window, and documents stay whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kdcore import inputs
from kdcore.data.splits import split
from kdcore.data.types import Dataset
from kdcore.inputs.kind import SEVERITIES
from kdcore.problems import RecipeError
from kdcore.recipe import Data
from tests import pairs

KIND = inputs.named("passages")


def dataset(windows: int = 40) -> Dataset:
    items, labels = pairs.passages(windows)
    names = tuple(items.tokenizer.alphabet)
    return Dataset("made", items, items, labels, labels, names, "", (), (), KIND)


def test_logits_of_chosen_examples_are_those_of_their_places():
    items, _ = pairs.passages()
    some = items[[70, 3, 71, 3]]
    ids = KIND.feed(some)
    assert ids.shape == (2, 8)  # two windows hold them
    every = np.arange(ids.size)[:, None] * np.ones(3)
    np.testing.assert_array_equal(
        ids.ravel()[KIND.answers(every, some)[:, 0].astype(int)], items.windows.ids.ravel()[[70, 3, 71, 3]]
    )


def test_a_batch_holds_whole_windows_and_a_pass_every_one_of_them_once():
    items, _ = pairs.passages()
    held = KIND.hold(items, np.arange(len(items)), torch.device("cpu"))
    seen = np.concatenate([held.indices(0, step, 32) for step in range(3)])
    assert sorted(seen) == list(range(96))
    ids = held.batch(held.indices(0, 0, 32))
    np.testing.assert_array_equal(ids.numpy().ravel(), items.windows.ids.ravel()[held.indices(0, 0, 32)])


def test_a_window_that_comes_twice_in_a_batch_is_in_it_twice():
    items, _ = pairs.passages()
    held = KIND.hold(items, np.arange(len(items)), torch.device("cpu"))
    twice = np.concatenate([np.arange(8, 16), np.arange(0, 8), np.arange(8, 16)])
    np.testing.assert_array_equal(held.batch(twice), items.windows.ids[[1, 0, 1]])


def test_a_document_is_in_one_share_alone():
    found = dataset()
    shares = split(found, Data(source={"dataset": "digits"}, validation=0.3, labels=100))
    documents = KIND.together(found.train_images)
    for one, other in (
        (shares.validation, shares.teacher),
        (shares.labelled, np.setdiff1d(shares.teacher, shares.seen)),
    ):
        assert not set(documents[one]) & set(documents[other])
    assert len(shares.validation) % 80 == 0  # whole documents, of 80 characters each
    assert len(shares.labelled) >= 100


def test_no_character_can_be_hidden():
    found = dataset()
    with pytest.raises(RecipeError, match="stand in documents"):
        split(found, Data(source={"dataset": "digits"}, hide_classes=[found.classes[0]]))


def test_what_is_saved_comes_back_and_damage_is_found(tmp_path):
    items, _ = pairs.passages()
    KIND.save(items, tmp_path, "test_images")
    back = KIND.load(tmp_path, "test_images")
    assert b"".join(map(bytes, KIND.chunks(back))) == b"".join(map(bytes, KIND.chunks(items)))
    assert KIND.fits(tmp_path, "test_images", KIND.shape(items), 96)
    assert not KIND.fits(tmp_path, "test_images", KIND.shape(items), 95)
    np.save(tmp_path / "test_images.ids.npy", np.full((12, 8), 99, np.int32))
    assert not KIND.fits(tmp_path, "test_images", KIND.shape(items), 96)


@pytest.mark.parametrize("name", KIND.corruptions)
def test_a_corruption_leaves_every_place_where_it_was(name):
    items, _ = pairs.passages()
    some = items[[9, 50]]
    for severity in SEVERITIES:
        changed = KIND.corrupted(some, name, severity)
        assert len(changed) == 2
        assert [len(changed.context(row)) for row in (0, 1)] == [2, 3]


def test_a_page_shows_what_comes_before_a_character():
    items, _ = pairs.passages()
    assert KIND.shown(items, 9).text == items.tokenizer.decoded(items.windows.ids[1, :2]) + "▁"
