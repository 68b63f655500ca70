"""The statistics behind the verdicts, in closed form. All intervals are two-sided at 95 %.

No scipy here: it takes 0.2 to 1 s to import, and `python -m kdcore show` has half a second. The tests
check every function against it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cache
from statistics import NormalDist, fmean, stdev
from typing import NamedTuple

CONFIDENCE = 0.95
_Z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)


class Interval(NamedTuple):
    """An estimate and its 95 % interval. `low` and `high` are None where one value says nothing about spread."""

    value: float
    low: float | None
    high: float | None


class Paired(NamedTuple):
    """A paired difference, its 95 % interval, and the two-sided p-value of "no difference"."""

    value: float
    low: float | None
    high: float | None
    p: float | None


def wilson(k: int, n: int) -> Interval:
    """The share k/n with Wilson's score interval (1927), which holds up near 0 and 1.

    Raises ValueError unless 0 <= k <= n and n > 0.
    """
    if not 0 <= k <= n or n == 0:
        raise ValueError(f"{k} of {n} is no share")
    share, z2 = k / n, _Z**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n**2))
    return Interval(share, 0.0 if k == 0 else centre - half, 1.0 if k == n else centre + half)


def t_interval(values: Sequence[float], resolution: float = 0.0) -> Interval:
    """Mean of independent values with Student's t-interval; no bounds for a single value.

    `resolution` is the step in which the values come (1/600 for an accuracy over 600 images). The spread is
    never taken to be less than that rounding makes, so equal values do not give an interval of no width.
    """
    mean = fmean(values)
    if len(values) < 2:
        return Interval(mean, None, None)
    half = t_quantile(len(values) - 1) * _standard_error(values, resolution)
    return Interval(mean, mean - half, mean + half)


def paired_interval(a: Sequence[float], b: Sequence[float], resolution: float = 0.0) -> Paired:
    """Mean of a[i] - b[i] with its t-interval and the paired t-test's p; no bounds and no p for one pair.

    `resolution` as in `t_interval`, for the values of `a` and `b`. Raises ValueError when the lengths differ.
    """
    differences = [x - y for x, y in zip(a, b, strict=True)]
    step = resolution * math.sqrt(2)  # the difference of two rounded values
    mean, low, high = t_interval(differences, step)
    if low is None:
        return Paired(mean, None, None, None)
    error = _standard_error(differences, step)
    p = 1 - _t_within(abs(mean) / error, len(differences) - 1) if error else float(mean == 0)
    return Paired(mean, low, high, p)


def paired_proportions(b: int, c: int, n: int) -> Paired:
    """Difference (b - c)/n of two shares of the same n images, of which b are right only here and c only there.

    The interval is Bonett and Price's adjusted Wald interval (Stat. Methods Med. Res. 2012), which
    Fagerland, Lydersen and Laake (Stat. Med. 2014) recommend; p is McNemar's exact one.
    """
    if min(b, c) < 0 or b + c > n or n == 0:
        raise ValueError(f"{b} and {c} discordant of {n} cannot be")
    here, there = (b + 1) / (n + 2), (c + 1) / (n + 2)
    centre = here - there
    half = _Z * math.sqrt((here + there - centre**2) / (n + 2))
    return Paired((b - c) / n, max(-1.0, centre - half), min(1.0, centre + half), mcnemar_exact(b, c))


def mcnemar_exact(b: int, c: int) -> float:
    """Two-sided exact p of McNemar's test: are b and c discordant pairs a fair coin's? 1 where there are none."""
    n, k = b + c, min(b, c)
    term = total = 1  # binomial coefficients as whole numbers: exact, however many images
    for i in range(k):
        term = term * (n - i) // (i + 1)
        total += term
    return min(1.0, 2 * total / 2**n)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment (1979) of p-values for several comparisons, in the order given."""
    adjusted, worst = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        worst = max(worst, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = worst
    return adjusted


@cache
def t_quantile(freedom: int) -> float:
    """The t within which Student's distribution has 95 % of its mass: 12.71 for 1 degree of freedom, 4.30 for 2."""
    low, high = 0.0, 16.0
    while high - low > 1e-13 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if _t_within(middle, freedom) < CONFIDENCE else (low, middle)
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
    return max(stdev(values), rounding) / math.sqrt(len(values))
