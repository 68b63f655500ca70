"""Numbers as people read them, the same on every page, in every figure and on the command line.

Every function takes None (or NaN) for "not measured" and then gives a dash.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import wraps

MISSING = "–"
MINUS = "−"

_BYTES = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
_COUNTS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def state(name: str, silent_since: float | None, job: str = "") -> str:
    """A run's state, its job where another system launches it, and since when (Unix seconds) its worker does not
    respond where that is so."""
    said = f"{name}, {job}" if job else name
    return said if silent_since is None else f"{said}, not responding since {moment(silent_since)}"


def moment(seconds: float) -> str:
    """A moment (Unix seconds) in local time: 14:02, or with its day where that is another one: 26 Nov, 14:02."""
    at = time.localtime(seconds)
    return time.strftime("%H:%M" if at[:3] == time.localtime()[:3] else "%d %b, %H:%M", at)


def _or_dash(write: Callable[..., str]) -> Callable[..., str]:
    @wraps(write)
    def written(value: float | None, *how: int) -> str:
        return MISSING if value is None or not math.isfinite(value) else write(value, *how)

    return written


@_or_dash
def size(count: float) -> str:
    """Bytes, in decimal units: 812 B, 9.95 kB, 94 kB, 1.10 MB."""
    scale, unit = _scaled(count, _BYTES) or (1.0, "B")
    value = count / scale
    plain = unit == "B" or (unit == "kB" and value >= 9.995)
    return f"{round(value)} {unit}" if plain else f"{_significant(value)} {unit}"


@_or_dash
def count(number: float) -> str:
    """Parameters, MACs, images: 812, 16.1 k, 115 k, 2.48 M."""
    scale, unit = _scaled(number, _COUNTS) or (1.0, "")
    return f"{_significant(number / scale)} {unit}" if unit else f"{round(number)}"


@_or_dash
def significant(value: float) -> str:
    """Three significant digits, for a column whose heading has the unit: 85.3, 12,300."""
    return _significant(value)


@_or_dash
def trimmed(value: float) -> str:
    """Likewise, without zeros at the end: 0.0083, 0.19, 12.3, 1,240."""
    text = _significant(value)
    return text.rstrip("0").rstrip(".") if "." in text else text


@_or_dash
def milliseconds(value: float) -> str:
    """A latency in milliseconds: 0.0083 ms, 0.19 ms, 12.3 ms, 1,240 ms."""
    return f"{trimmed(value)} ms"


@_or_dash
def rate(images_per_second: float) -> str:
    """A throughput: 85.3 examples/s, 12,300 examples/s."""
    return f"{significant(images_per_second)} examples/s"


@_or_dash
def times(ratio: float) -> str:
    """A ratio: 0.74×, 1.35×, 3.3×, 36×."""
    decimals = 2 if ratio < 1.995 else 1 if ratio < 9.95 else 0
    return f"{ratio:,.{decimals}f}×"


@_or_dash
def decibels(value: float) -> str:
    """A ratio of powers: 23.1 dB, −3.0 dB."""
    return f"{_one_decimal(value)} dB"


@_or_dash
def percent(fraction: float) -> str:
    """A fraction as a percentage: 0.987 gives 98.7 %."""
    return f"{_one_decimal(fraction * 100)} %"


def percent_interval(fraction: float | None, low: float | None, high: float | None) -> str:
    """98.7 % (97.4 to 99.4); without bounds the percentage alone."""
    bounds = percent_bounds(low, high)
    return f"{percent(fraction)} ({bounds})" if bounds else percent(fraction)


def percent_change(before: float, after: float) -> str:
    """95.5 to 61.3 %: two fractions, to follow "from"."""
    return f"{_one_decimal(before * 100)} to {percent(after)}"


def bits(value: float | None) -> str:
    """Bits a character: 1.853."""
    return "" if value is None else f"{value:.3f}"


def bits_bounds(low: float | None, high: float | None) -> str:
    """1.802 to 1.911; nothing without both."""
    return "" if low is None or high is None else f"{low:.3f} to {high:.3f}"


def percent_bounds(low: float | None, high: float | None) -> str:
    """97.4 to 99.4; nothing without both."""
    return "" if low is None or high is None else f"{_one_decimal(low * 100)} to {_one_decimal(high * 100)}"


@_or_dash
def points(value: float) -> str:
    """A difference of percentages, given in points: +1.2 points, −0.4 points, 0.0 points."""
    return f"{signed(value)} points"


@_or_dash
def signed(value: float, decimals: int = 1) -> str:
    """One decimal, or more, with the sign: +1.2, −0.4, 0.0."""
    text = _rounded(value, decimals)
    return text if text.startswith(MINUS) or not float(text) else f"+{text}"


@_or_dash
def p_value(p: float) -> str:
    """p = 0.057, p = 0.83, p < 0.001."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.{3 if p < 0.1 else 2}f}"


@_or_dash
def duration(seconds: float) -> str:
    """0.4 s, 12 s, 1 min 05 s, 2 h 10 min, 3 d 4 h."""
    if seconds < 9.95:
        return f"{max(seconds, 0.0):.1f} s"
    whole, minutes, hours = round(seconds), round(seconds / 60), round(seconds / 3600)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{hours // 24} d {hours % 24} h"


@_or_dash
def roughly(seconds: float) -> str:
    """A time that is only estimated: 4 s, 50 s, 2.5 min, 15 min, 2 h 10 min."""
    if seconds < 90:
        return f"{max(round(seconds, 0 if seconds < 20 else -1), 1):.0f} s"
    minutes = seconds / 60
    if minutes < 59.5:
        return f"{round(2 * minutes) / 2 if minutes < 9.75 else round(minutes):g} min"
    return duration(600 * round(seconds / 600))


def between(low: float, high: float) -> str:
    """A time that is only estimated, as a range: "30 to 50 s", "50 s to 2 min", or "about 40 s" where both are one."""
    first, last = roughly(low), roughly(high)
    if first == last:
        return f"about {last}"
    number, unit = first.split(" ", 1)
    return f"{number if last.split(' ', 1)[1] == unit else first} to {last}"


def shortest(seconds: float, speedup: float) -> str:
    """What further workers could gain of an estimate: nothing below a twentieth."""
    if speedup < 1.05:
        return "Further workers would gain nothing: each stage needs the one before it."
    return (
        f"At best {roughly(seconds)} with any number of workers (the critical path): an ideal speed-up of "
        f"{times(speedup)} over a single worker."
    )


def left(seconds: float) -> str:
    """What is left of a run of which so many seconds seem left: "20 to 60 s left". At 2,530 moments of 17 runs, four of
    five true times lay between 0.36 and 1.26 times the computed one."""
    return f"{between(0.4 * seconds, 1.3 * seconds)} left"


def plural(number: int, noun: str) -> str:
    """1 seed, 3 seeds, 1,200 test images."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _significant(value: float, digits: int = 3) -> str:
    """Three significant digits without an exponent, grouped in thousands."""
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits - 1}e}")
    decimals = digits - 1 - math.floor(math.log10(abs(rounded)))
    return f"{rounded:,.{max(decimals, 0)}f}"


def _scaled(value: float, units: tuple[tuple[float, str], ...]) -> tuple[float, str] | None:
    # 999.6 kB would be written as 1000 kB: the next unit takes over where the rounding does.
    return next(((scale, unit) for scale, unit in units if abs(value) >= scale * 0.9995), None)


def _one_decimal(value: float) -> str:
    """A real minus sign, and none before a zero."""
    return _rounded(value, 1)


def _rounded(value: float, decimals: int) -> str:
    text = f"{value:.{decimals}f}"
    return text.removeprefix("-") if not float(text) else text.replace("-", MINUS)
