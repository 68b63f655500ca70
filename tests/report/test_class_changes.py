"""Recall by class of one file beside another's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest
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


def test_p_is_mcnemars_exact_one_after_holms_correction():
    found = class_changes(MINE, OTHERS, LABELS, ["a", "b", "c"])
    raw = [binomtest(one.gained, one.gained + one.lost).pvalue for one in found]
    assert min(one.p for one in found) == pytest.approx(min(1, 3 * min(raw)))


def test_of_several_labels_each_is_a_decision():
    labels = (RANDOM.random((200, 2)) < 0.5).astype(np.uint8)
    mine, others = (RANDOM.random((200, 2)) < 0.6 for _ in range(2))
    found = class_changes(mine, others, labels, ["a", "b"])
    expected = recall_score(labels, mine, average=None) - recall_score(labels, others, average=None)
    assert [one.points for one in found] == pytest.approx((100 * expected).tolist())


def test_classes_without_images_are_left_out():
    found = class_changes(MINE, MINE, LABELS, ["a", "b", "c", "nowhere"])
    assert [(one.name, one.points, one.p) for one in found] == [("a", 0, 1), ("b", 0, 1), ("c", 0, 1)]
