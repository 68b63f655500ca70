from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from kdcore.data.dataset import load
from kdcore.data.sets.digit_scenes import DigitScenes, _places, digit_scenes
from kdcore.data.sets.digits import Digits, digits
from kdcore.data.splits import split
from kdcore.recipe import Data
from kdcore.registry import validate


@pytest.fixture(scope="module")
def small():
    return digit_scenes(DigitScenes(scenes=300, test_scenes=120))


def pieces(scene, singles):
    """The digits in a scene: index of each single whose pixels stand somewhere in it, found by looking everywhere."""
    windows = np.lib.stride_tricks.sliding_window_view(scene[..., 0], (8, 8)).reshape(-1, 64)
    whole = {window.tobytes() for window in windows.astype(np.uint8)}
    return {index for index, single in enumerate(singles) if single.tobytes() in whole}


def test_scenes_hold_whole_digits_of_their_own_split_and_are_labelled_by_them(small):
    singles = digits(Digits())
    parts = {
        "train": (singles.train_images[..., 0], singles.train_labels),
        "test": (singles.test_images[..., 0], singles.test_labels),
    }
    for name, scenes, sets in (
        ("train", small.train_images, small.train_labels), ("test", small.test_images, small.test_labels),
    ):  # fmt: skip
        own, labels = parts[name]
        other, _ = parts["test" if name == "train" else "train"]
        for scene, held in zip(scenes[:60], sets[:60], strict=True):
            found = pieces(scene, own)
            assert sorted({int(labels[index]) for index in found}) == np.flatnonzero(held).tolist()
            assert sum(int(own[index].sum()) for index in found) == int(scene.sum()), "nothing overlaps, nothing else"
            assert not pieces(scene, other)


def test_each_number_of_digits_is_as_likely(small):
    blank = (small.train_images.reshape(300, -1) == 0).all(axis=1)
    assert blank.mean() == pytest.approx(1 / 5, abs=0.06)
    assert not small.train_labels[blank].any()
    assert small.train_labels.sum(axis=1).max() == 4


def test_the_scenes_are_the_same_each_time(small):
    again = digit_scenes(DigitScenes(scenes=300, test_scenes=120))
    for mine, other in zip(small[:4], again[:4], strict=True):
        assert np.array_equal(mine, other)
    more = digit_scenes(DigitScenes(scenes=400, test_scenes=120))
    assert np.array_equal(more.train_images[:300], small.train_images)
    assert int(small.train_images.sum()) == 3_082_609


def test_a_full_canvas_is_laid_out_on_a_grid():
    places = _places(9, 24, np.random.RandomState(0))
    assert sorted(places) == [(top, left) for top in (0, 8, 16) for left in (0, 8, 16)]


def test_more_digits_than_fit_are_refused():
    with pytest.raises(ValidationError, match="16x16 has room for 4"):
        DigitScenes(size=16, digits=5)


def test_it_loads_with_several_labels_an_image_and_is_split():
    dataset = load(validate("dataset", {"dataset": "digit_scenes", "scenes": 300, "test_scenes": 120, "size": 16}))
    assert dataset.multilabel
    assert dataset.shape == (1, 16, 16)
    assert (dataset.train_labels.shape, dataset.train_labels.dtype) == ((300, 10), np.uint8)
    shares = split(dataset, Data(labels=50, transfer=True))
    assert (len(shares.labelled), len(shares.validation)) == (50, 30)
