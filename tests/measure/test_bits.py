"""Bits a character, by hand and by scipy's bootstrap."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from kdcore.measure.bits import bits, bits_difference, of_documents

LOGITS = np.log(np.array([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.125, 0.125, 0.75]], np.float32))


def test_bits_are_the_mean_surprise_and_documents_sum_up():
    found = of_documents(LOGITS, np.array([0, 0, 1]), np.array([7, 7, 3]), np.ones(3))
    np.testing.assert_allclose(found.bits, [3, 3], rtol=1e-6)
    np.testing.assert_array_equal(found.characters, [1, 2])
    np.testing.assert_array_equal(found.right, [0, 1])
    assert bits(found)["bits"] == pytest.approx(2)


def test_the_interval_is_a_bootstrap_over_documents():
    chance = np.random.default_rng(0)
    each = chance.gamma(4, 0.5, 40)  # bits of each document's characters, which are all alike
    logits = np.repeat(np.stack([-each * np.log(2), np.log1p(-(2.0**-each))], 1), 50, axis=0)
    found = bits(of_documents(logits, np.zeros(2000, int), np.repeat(np.arange(40), 50), np.ones(2000)))
    expected = stats.bootstrap((each,), np.mean, method="percentile", n_resamples=9999, rng=1).confidence_interval
    assert found["bits"] == pytest.approx(each.mean())
    assert found["bits_interval"] == pytest.approx(list(expected), abs=0.03)
    assert found["documents"] == 40


def test_fewer_bits_than_the_parent_are_a_gain_with_its_sign():
    chance = np.random.default_rng(0)
    labels, documents = chance.integers(0, 3, 600), np.repeat(np.arange(30), 20)
    good = np.eye(3)[labels] + chance.normal(0, 0.1, (600, 3))
    found = (of_documents(logits, labels, documents, np.ones(600)) for logits in (good, np.zeros((600, 3))))
    mine, other = found
    gained = bits_difference(mine, other)
    assert gained["value"] > 0
    assert 0 < gained["low"] < gained["value"] < gained["high"]
    assert gained["p"] < 0.01
    lost = bits_difference(other, mine)
    assert (lost["low"], lost["high"]) == pytest.approx((-gained["high"], -gained["low"]))


def test_bits_of_tokens_are_shared_out_over_their_characters():
    found = of_documents(LOGITS, np.array([0, 0, 1]), np.array([7, 7, 3]), np.array([2.0, 1.0, 3.0]))
    measured = bits(found)
    assert measured["bits"] == pytest.approx(6 / 6)  # of 1, 2 and 3 bits
    low, high = measured["bits_interval"]
    assert (low, high) == pytest.approx((3 / 3, 3 / 3))  # either document takes 3 bits for 3 characters
    assert measured["accuracy_interval"] == pytest.approx([0, 0.5])  # a share of tokens, not of characters
