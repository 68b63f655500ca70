"""Every formula against scipy, a textbook's value, or its own definition by counting."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, special, stats

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
    with pytest.raises(ValueError, match="not a proportion"):
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


def test_paired_proportions_of_a_published_example():
    """Fagerland, Lydersen and Laake 2014: 21 children before and after a transplantation, 1 and 7 discordant."""
    found = statistics.paired_proportions(1, 7, 21)
    assert found == pytest.approx((-6 / 21, -0.517, -0.026, 0.034), abs=5e-4)


@pytest.mark.parametrize(("b", "c"), [(0, 0), (1, 0), (3, 3), (0, 9), (12, 4), (400, 460)])
def test_the_exact_mcnemar_is_the_binomial_test(b, c):
    assert statistics.mcnemar_exact(b, c) == pytest.approx(stats.binomtest(b, b + c).pvalue if b + c else 1.0)


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_the_chi_squared_test(b, c):
    expected = stats.chi2.sf((b - c) ** 2 / (b + c), 1) if b + c else 1.0
    assert statistics.paired_proportions(b, c, 200).p == pytest.approx(expected, rel=1e-9)


@settings(deadline=None)
@given(st.data(), st.integers(1, 5000))
def test_an_interval_of_counts_never_contradicts_its_test(data, n):
    b = data.draw(st.integers(0, n))
    c = data.draw(st.integers(0, n - b))
    found = statistics.paired_proportions(b, c, n)
    assert -1 <= found.low <= found.value <= found.high <= 1
    assert (found.p <= 0.05) == (not found.low <= 0 <= found.high)
    mirrored = statistics.paired_proportions(c, b, n)
    assert (mirrored.low, mirrored.high) == pytest.approx((-found.high, -found.low), abs=1e-8)


@pytest.mark.parametrize(("b", "c", "n"), [(10, 22, 600), (3, 11, 600), (0, 7, 50), (5, 0, 30), (40, 30, 90)])
def test_the_ends_of_an_interval_are_where_the_score_test_turns(b, c, n):
    """The nuisance share by maximising the likelihood of the three counts numerically, not by Tango's formula."""
    found = statistics.paired_proportions(b, c, n)
    for end in (found.low, found.high):
        assert abs(_score(b, c, n, end)) == pytest.approx(stats.norm.ppf(0.975), abs=1e-3)


def _score(b, c, n, difference):
    """The score test's z for a true difference of p(b) - p(c)."""

    def misfit(q):
        shares = np.array([q + difference, q, 1 - 2 * q - difference])
        return -np.sum(special.xlogy([b, c, n - b - c], np.maximum(shares, 1e-300)))

    low, high = max(0.0, -difference), (1 - difference) / 2
    q = optimize.minimize_scalar(misfit, bounds=(low, high), method="bounded", options={"xatol": 1e-12}).x
    return (b - c - n * difference) / math.sqrt(n * (2 * q + difference - difference**2))


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


def adjusted(p_values):
    return [one.p for one in statistics.holm(p_values)]


def test_holm_by_hand():
    assert adjusted([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert adjusted([0.4, 0.6]) == pytest.approx([0.8, 0.8])
    assert adjusted([0.9, 0.7]) == [1.0, 1.0]
    assert adjusted([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_rejects_what_the_closed_test_of_bonferroni_rejects(p_values):
    """Holm is the closed testing procedure of Bonferroni: H_i falls when every intersection with it does."""
    indices = range(len(p_values))
    subsets = [s for size in range(1, len(p_values) + 1) for s in itertools.combinations(indices, size)]
    expected = [max(min(1.0, len(s) * min(p_values[j] for j in s)) for s in subsets if i in s) for i in indices]
    assert adjusted(p_values) == pytest.approx(expected)


def test_a_single_comparison_needs_no_correction():
    assert adjusted([0.031]) == [0.031]


def test_interval_and_test_agree_at_the_edge():
    """The paired t-interval touches zero exactly where p is 5 %."""

    def p_of(shift):
        return statistics.paired_interval([shift + x for x in (-1.0, 0.0, 1.5)], [0.0] * 3).p - 0.05

    shift = optimize.brentq(p_of, 0.5, 50)
    assert statistics.paired_interval([shift + x for x in (-1.0, 0.0, 1.5)], [0.0] * 3).low == pytest.approx(
        0, abs=1e-9
    )


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(60, 99), min_size=4, max_size=4), min_size=1, max_size=4))
def test_a_corrected_interval_never_contradicts_its_corrected_p(families):
    """By seed: scores of several methods against one baseline."""
    baseline = [80, 81, 79, 80]
    raw = [statistics.paired_interval(scores, baseline, 0.1) for scores in families]
    for scores, told in zip(families, statistics.holm([one.p for one in raw]), strict=True):
        found = statistics.paired_interval(scores, baseline, 0.1, told.confidence)
        assert told.confidence >= 0.95 - 1e-12
        assert (told.p <= 0.05) == (not found.low <= 0 <= found.high)


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99, 0.9999])
@pytest.mark.parametrize("freedom", [1, 2, 7])
def test_t_quantile_at_other_levels(freedom, confidence):
    expected = stats.t.ppf((1 + confidence) / 2, freedom)
    assert statistics.t_quantile(freedom, confidence) == pytest.approx(expected, rel=1e-8)
