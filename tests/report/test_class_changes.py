"""Recall by class of one file beside another's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2
from sklearn.metrics import recall_score

from kdcore.report.class_changes import class_changes

RANDOM = np.random.default_rng(0)
LABELS = RANDOM.integers(0, 3, 300)
MINE, OTHERS = (np.where(RANDOM.random(300) < right, LABELS, (LABELS + 1) % 3) for right in (0.7, 0.9))


def test_points_are_the_difference_of_scikit_learns_recalls():
    found = class_changes(MINE, OTHERS, LABELS, ["a", "b", "c"])
    mine, others = (recall_score(LABELS, one, average=None) for one in (MINE, OTHERS))
    assert [one.points for one in found] == pytest.approx((100 * (mine - others)).tolist())
    assert [one.n for one in found] == np.bincount(LABELS).tolist()
    assert all(one.low < one.points < one.high for one in found)


def test_p_is_mcnemars_after_holms_correction():
    found = class_changes(MINE, OTHERS, LABELS, ["a", "b", "c"])
    raw = [chi2.sf((one.gained - one.lost) ** 2 / (one.gained + one.lost), 1) for one in found]
    assert min(one.p for one in found) == pytest.approx(min(1, 3 * min(raw)))


def test_an_interval_of_a_class_never_contradicts_its_corrected_p():
    labels = np.repeat(np.arange(40), 50)
    lost = np.tile(np.arange(50), 40) < labels % 20  # 0 to 19 images of a class, and 2 gained
    gained = np.tile(np.arange(50), 40) >= 48
    here, there = np.where(lost, -1, labels), np.where(gained, -1, labels)
    found = class_changes(here, there, labels, [str(k) for k in range(40)])
    assert {one.p <= 0.05 for one in found} == {True, False}
    assert all((one.p <= 0.05) == (not one.low <= 0 <= one.high) for one in found)


def test_of_several_labels_each_is_a_decision():
    labels = (RANDOM.random((200, 2)) < 0.5).astype(np.uint8)
    mine, others = (RANDOM.random((200, 2)) < 0.6 for _ in range(2))
    found = class_changes(mine, others, labels, ["a", "b"])
    expected = recall_score(labels, mine, average=None) - recall_score(labels, others, average=None)
    assert [one.points for one in found] == pytest.approx((100 * expected).tolist())


def test_classes_without_images_are_left_out():
    found = class_changes(MINE, MINE, LABELS, ["a", "b", "c", "nowhere"])
    assert [(one.name, one.points, one.p) for one in found] == [("a", 0, 1), ("b", 0, 1), ("c", 0, 1)]
