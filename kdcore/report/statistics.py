"""The statistics behind the verdicts. All intervals are two-sided, at 95 % where nothing else is asked for.

No scipy here: it takes 0.2 to 1 s to import, and `python -m kdcore show` has half a second. The tests
check every function against it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from statistics import NormalDist, fmean
from typing import NamedTuple

CONFIDENCE = 0.95


class Interval(NamedTuple):
    """An estimate and its interval. `low` and `high` are None where one value says nothing about spread."""

    value: float
    low: float | None
    high: float | None


class Paired(NamedTuple):
    """A paired difference, its interval, and the two-sided p-value of "no difference"."""

    value: float
    low: float | None
    high: float | None
    p: float | None


def wilson(k: int, n: int) -> Interval:
    """The share k/n with Wilson's score interval (1927), which holds up near 0 and 1.

    Raises ValueError unless 0 <= k <= n and n > 0.
    """
    if not 0 <= k <= n or n == 0:
        raise ValueError(f"{k} of {n} is not a proportion")
    share, z = k / n, _normal_quantile(CONFIDENCE)
    z2 = z**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = z / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n**2))
    return Interval(share, 0.0 if k == 0 else centre - half, 1.0 if k == n else centre + half)


def t_interval(values: Sequence[float], resolution: float = 0.0, confidence: float = CONFIDENCE) -> Interval:
    """Mean of independent values with Student's t-interval; no bounds for a single value.

    `resolution` is the step in which the values come (1/600 for an accuracy over 600 images). The spread is
    never taken to be less than that rounding makes, so equal values do not give an interval of no width.
    """
    mean = fmean(values)
    if len(values) < 2:
        return Interval(mean, None, None)
    half = t_quantile(len(values) - 1, confidence) * _standard_error(values, resolution)
    return Interval(mean, mean - half, mean + half)


def paired_interval(
    a: Sequence[float], b: Sequence[float], resolution: float = 0.0, confidence: float = CONFIDENCE
) -> Paired:
    """Mean of a[i] - b[i] with its t-interval and the paired t-test's p; no bounds and no p for one pair.

    `resolution` as in `t_interval`, for the values of `a` and `b`. Raises ValueError when the lengths differ.
    """
    differences = [x - y for x, y in zip(a, b, strict=True)]
    step = resolution * math.sqrt(2)  # the difference of two rounded values
    mean, low, high = t_interval(differences, step, confidence)
    if low is None:
        return Paired(mean, None, None, None)
    error = _standard_error(differences, step)
    p = 1 - _t_within(abs(mean) / error, len(differences) - 1) if error else float(mean == 0)
    return Paired(mean, low, high, p)


def paired_proportions(b: int, c: int, n: int, confidence: float = CONFIDENCE) -> Paired:
    """Difference (b - c)/n of two shares of the same n images, of which b are right only here and c only there.

    p is McNemar's, from (b - c)**2 / (b + c); the interval is Tango's (Stat. Med. 1998), which holds the differences
    that the same score test does not reject, so the two never disagree. Fagerland, Lydersen and Laake (Stat. Med. 2014)
    recommend both. Raises ValueError for counts that cannot be.
    """
    if min(b, c) < 0 or b + c > n or n == 0:
        raise ValueError(f"{b} and {c} discordant pairs of {n} are impossible")
    value, bound = (b - c) / n, _normal_quantile(confidence)
    low = _edge(lambda difference: _tango(b, c, n, difference) > bound, -1.0, value)
    high = _edge(lambda difference: _tango(b, c, n, difference) >= -bound, value, 1.0)
    return Paired(value, low, high, mcnemar(b, c))


def mcnemar(b: int, c: int) -> float:
    """Two-sided p of McNemar's score test: are b and c discordant pairs a fair coin's? 1 where there are none."""
    return math.erfc(abs(b - c) / math.sqrt(2 * (b + c))) if b + c else 1.0


def mcnemar_exact(b: int, c: int) -> float:
    """The same from the binomial distribution itself, for few pairs; 1 where there are none."""
    n, fewer = b + c, min(b, c)
    log_half = n * math.log(2)
    tail = (math.exp(math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) - log_half)
            for k in range(fewer + 1))  # fmt: skip
    return min(1.0, 2 * math.fsum(tail))


def _tango(b: int, c: int, n: int, difference: float) -> float:
    """Tango's score for a true difference in -1..1: falls as that rises, and is McNemar's at 0."""
    linear = (2 * n - b + c) * difference - b - c
    rest = -c * difference * (1 - difference)
    share = (math.sqrt(max(0.0, linear**2 - 8 * n * rest)) - linear) / (
        4 * n
    )  # maximum likelihood, of pairs right only there
    variance = n * (2 * share + difference * (1 - difference))
    surplus = b - c - n * difference
    return surplus / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, surplus)


def _edge(before: Callable[[float], bool], low: float, high: float) -> float:
    """Where `before` turns false between `low` and `high`."""
    while high - low > 1e-10:
        middle = (low + high) / 2
        low, high = (middle, high) if before(middle) else (low, middle)
    return (low + high) / 2


class Corrected(NamedTuple):
    """A p-value after Holm's correction, and the `confidence` at which its interval says the same."""

    p: float
    confidence: float


def holm(p_values: Sequence[float]) -> list[Corrected]:
    """Holm's step-down adjustment (1979) of p-values for several comparisons, in the order given.

    Where the adjustment makes p k times as large, an interval with error 0.05/k in place of 0.05 leaves out zero
    exactly where the adjusted p is below 0.05.
    """
    adjusted, worst, error = [Corrected(1.0, CONFIDENCE)] * len(p_values), 0.0, 1 - CONFIDENCE
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        left = len(p_values) - rank
        worst = max(worst, min(1.0, left * p_values[index]))
        adjusted[index] = Corrected(worst, 1 - error * (p_values[index] / worst if worst else 1 / left))
    return adjusted


@cache
def _normal_quantile(confidence: float) -> float:
    return NormalDist().inv_cdf((1 + confidence) / 2)


@cache
def t_quantile(freedom: int, confidence: float = CONFIDENCE) -> float:
    """The t within which Student's distribution has `confidence` of its mass: 12.71 for 1 degree of freedom, 4.30 for 2
    at 95 %.
    """
    low, high = 0.0, 16.0
    while _t_within(high, freedom) < confidence:
        high *= 2
    while high - low > 1e-13 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if _t_within(middle, freedom) < confidence else (low, middle)
    return (low + high) / 2


def _t_within(t: float, freedom: int) -> float:
    """P(|T| <= t) for whole degrees of freedom (Abramowitz and Stegun 26.7.3 and 26.7.4)."""
    angle = math.atan(t / math.sqrt(freedom))
    series = math.sin(angle) * math.fsum(_t_terms(math.cos(angle), freedom))
    return series if freedom % 2 == 0 else 2 / math.pi * (angle + series)


def _t_terms(cosine: float, freedom: int) -> Iterator[float]:
    odd = freedom % 2
    term = cosine if odd else 1.0
    for power in range(2 + odd, freedom + 1, 2):
        yield term
        term *= cosine**2 * (power - 1) / power


def _standard_error(values: Sequence[float], resolution: float) -> float:
    rounding = resolution / math.sqrt(12)  # standard deviation of a uniform error of one step
    return max(_deviation(values), rounding) / math.sqrt(len(values))


def _deviation(values: Sequence[float]) -> float:
    """The sample's standard deviation; that of the standard library takes milliseconds for a thousand values."""
    if min(values) == max(values):
        return 0.0
    mean = fmean(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
