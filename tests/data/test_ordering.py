from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdcore.data.ordering import label_set_order, stratified_order


def test_the_order_by_hand():
    # Class 0 of four: places 0, 3/8, 5/8, 7/8. Class 1 of two: 0, 3/4.
    labels = np.array([0, 0, 1, 0, 1, 0])
    ordered = labels[stratified_order(labels, (0,))]
    assert set(ordered[:2]) == {0, 1}
    assert ordered[2:].tolist() == [0, 0, 1, 0]


def test_the_order_never_moves():
    order = stratified_order(np.arange(20) % 3, (7, 2))
    assert order.tolist() == [6, 5, 19, 10, 12, 8, 16, 3, 14, 1, 9, 11, 13, 18, 17, 7, 15, 2, 4, 0]


@settings(deadline=None)
@given(st.lists(st.integers(2, 40), min_size=2, max_size=10), st.integers(0, 2**31 - 1))
def test_every_prefix_of_the_order_is_stratified(sizes, seed):
    labels, kinds = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes)), len(sizes)
    order = stratified_order(labels, (seed, 2))
    assert sorted(order) == list(range(len(labels)))
    share = np.bincount(labels) / len(labels)
    for length in range(kinds, len(labels) + 1):
        counts = np.bincount(labels[order[:length]], minlength=kinds)
        assert counts.min() >= 1
        assert (np.abs(counts - share * length) <= 1.5 + 1.5 * kinds * share).all()


@settings(deadline=None)
@given(st.integers(2, 10), st.integers(2, 30), st.integers(0, 99))
def test_classes_of_equal_size_differ_by_one_image_at_most(kinds, each, seed):
    labels = np.tile(np.arange(kinds), each)
    order = stratified_order(labels, (seed,))
    for length in range(len(labels) + 1):
        counts = np.bincount(labels[order[:length]], minlength=kinds)
        assert counts.max() - counts.min() <= 1


def test_rare_labels_are_shared_out_in_proportion():
    random = np.random.default_rng(0)
    labels = (random.random((2000, 4)) < [0.5, 0.3, 0.1, 0.02]).astype(np.uint8)
    half = labels[label_set_order(labels, (0, 1))[:1000]]
    assert half.mean(axis=0) == pytest.approx(labels.mean(axis=0), rel=0.1)
    assert (~half.any(axis=1)).mean() == pytest.approx((~labels.any(axis=1)).mean(), rel=0.02)


def test_the_order_of_label_sets_never_moves():
    labels = (np.arange(24).reshape(8, 3) % 5 == 0).astype(np.uint8)
    assert label_set_order(labels, (7, 2)).tolist() == [3, 5, 6, 7, 4, 1, 0, 2]
