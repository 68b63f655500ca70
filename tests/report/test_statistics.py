"""Every formula against scipy, a textbook's value, or its own definition by counting."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from kdcore.report import statistics


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 9, 19, 20, 60, 501])
def test_t_quantile_is_scipys(freedom):
    assert statistics.t_quantile(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=1e-10)


@pytest.mark.parametrize(("k", "n"), [(0, 10), (1, 10), (5, 10), (10, 10), (592, 600), (8150, 10000)])
def test_wilson_is_scipys(k, n):
    expected = stats.binomtest(k, n).proportion_ci(0.95, method="wilson")
    assert statistics.wilson(k, n) == pytest.approx((k / n, expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize(("k", "n"), [(-1, 5), (6, 5), (0, 0)])
def test_wilson_refuses_what_is_no_share(k, n):
    with pytest.raises(ValueError, match="no share"):
        statistics.wilson(k, n)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=20).filter(lambda values: np.std(values) > 1e-6))
def test_t_interval_is_scipys(values):
    mean, low, high = statistics.t_interval(values)
    expected = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
    assert (mean, low, high) == pytest.approx((np.mean(values), *expected), abs=1e-9)


def test_one_value_has_no_spread():
    assert statistics.t_interval([0.9]) == (0.9, None, None)
    assert statistics.paired_interval([0.9], [0.8]) == (pytest.approx(0.1), None, None, None)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=12))
def test_paired_interval_is_scipys_paired_t_test(pairs):
    a, b = np.array(pairs).T
    if np.std(a - b) < 1e-6:
        return
    expected = stats.ttest_rel(a, b)
    found = statistics.paired_interval(a, b)
    assert found[:3] == pytest.approx((np.mean(a - b), *expected.confidence_interval(0.95)), abs=1e-9)
    assert found.p == pytest.approx(expected.pvalue, abs=1e-9)


def test_equal_differences_are_not_certainty():
    """Three seeds that are each two of 600 images better: an accuracy is known to half an image, no better."""
    found = statistics.paired_interval([592 / 600] * 3, [590 / 600] * 3, resolution=1 / 600)
    half = stats.t.ppf(0.975, 2) * (1 / 600) * math.sqrt(2 / 12) / math.sqrt(3)
    assert (found.low, found.high) == pytest.approx((2 / 600 - half, 2 / 600 + half))
    alone = statistics.t_interval([0.98, 0.98], resolution=1 / 600)
    assert alone.high - alone.low == pytest.approx(2 * 12.7062 / 600 / math.sqrt(12) / math.sqrt(2), rel=1e-5)


def test_pairs_must_match():
    with pytest.raises(ValueError):
        statistics.paired_interval([1.0, 2.0], [1.0])


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_the_exact_binomial_test(b, c):
    expected = stats.binomtest(b, b + c, 0.5).pvalue if b + c else 1.0
    assert statistics.mcnemar_exact(b, c) == pytest.approx(expected, rel=1e-9)


def test_mcnemar_of_thousands_of_images():
    assert statistics.mcnemar_exact(4000, 4100) == pytest.approx(stats.binomtest(4000, 8100).pvalue, rel=1e-9)


def test_paired_proportions_by_hand():
    """Bonett and Price 2012, with b = 10, c = 22 of n = 600: 11 and 23 of 602 after the adjustment."""
    found = statistics.paired_proportions(10, 22, 600)
    half = stats.norm.ppf(0.975) * math.sqrt((34 / 602 - (12 / 602) ** 2) / 602)
    assert found[:3] == pytest.approx((-12 / 600, -12 / 602 - half, -12 / 602 + half))
    assert found.p == pytest.approx(stats.binomtest(10, 32).pvalue)


@pytest.mark.parametrize(("b", "c"), [(0, 0), (3, 0), (0, 3), (300, 300), (600, 0)])
def test_paired_proportions_hold_the_estimate(b, c):
    found = statistics.paired_proportions(b, c, 600)
    assert -1 <= found.low <= found.value <= found.high <= 1


def test_paired_proportions_refuse_impossible_counts():
    with pytest.raises(ValueError, match="discordant"):
        statistics.paired_proportions(4, 3, 6)


@pytest.mark.parametrize(("here", "there"), [(0.02, 0.02), (0.01, 0.03), (0.002, 0.004), (0.3, 0.1)])
def test_paired_proportions_cover_95_percent(here, there):
    """Coverage by drawing 4,000 experiments on 600 images; the standard error of the coverage is 0.35 %."""
    counts = np.random.default_rng(0).multinomial(600, [here, there, 1 - here - there], size=4000)
    cache = {pair: statistics.paired_proportions(*pair, 600) for pair in {(int(b), int(c)) for b, c, _ in counts}}
    inside = [cache[int(b), int(c)].low <= here - there <= cache[int(b), int(c)].high for b, c, _ in counts]
    assert 0.935 <= np.mean(inside) <= 0.999


def test_holm_by_hand():
    assert statistics.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert statistics.holm([0.4, 0.6]) == pytest.approx([0.8, 0.8])
    assert statistics.holm([0.9, 0.7]) == [1.0, 1.0]
    assert statistics.holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_rejects_what_the_closed_test_of_bonferroni_rejects(p_values):
    """Holm is the closed testing procedure of Bonferroni: H_i falls when every intersection with it does."""
    indices = range(len(p_values))
    subsets = [s for size in range(1, len(p_values) + 1) for s in itertools.combinations(indices, size)]
    expected = [max(min(1.0, len(s) * min(p_values[j] for j in s)) for s in subsets if i in s) for i in indices]
    assert statistics.holm(p_values) == pytest.approx(expected)


def test_a_single_comparison_needs_no_correction():
    assert statistics.holm([0.031]) == [0.031]


def test_interval_and_test_agree_at_the_edge():
    """The paired t-interval touches zero exactly where p is 5 %."""

    def p_of(shift):
        return statistics.paired_interval([shift + x for x in (-1.0, 0.0, 1.5)], [0.0] * 3).p - 0.05

    shift = optimize.brentq(p_of, 0.5, 50)
    assert statistics.paired_interval([shift + x for x in (-1.0, 0.0, 1.5)], [0.0] * 3).low == pytest.approx(
        0, abs=1e-9
    )
