from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdcore.report import format

SIZES = {0: "0 B", 812: "812 B", 9_949: "9.95 kB", 94_312: "94 kB", 999_400: "999 kB", 999_600: "1.00 MB"}
SIZES |= {1_101_000: "1.10 MB", 36_700_000: "36.7 MB", 2_500_000_000: "2.50 GB"}
LATENCIES = {0: "0 ms", 0.0083: "0.0083 ms", 0.19: "0.19 ms", 0.18716: "0.187 ms", 12.34: "12.3 ms", 100.2: "100 ms"}
LATENCIES |= {1240: "1,240 ms"}
TIMES = {0.74: "0.74×", 1.0: "1.00×", 1.349: "1.35×", 1.999: "2.0×", 3.3: "3.3×", 36.2: "36×"}
DURATIONS = {0.42: "0.4 s", 9.96: "10 s", 59.4: "59 s", 59.7: "1 min 00 s", 65: "1 min 05 s", 3599.9: "1 h 00 min"}
DURATIONS |= {7800: "2 h 10 min", 86_399: "1 d 0 h", 273_600: "3 d 4 h"}


@pytest.mark.parametrize(("value", "text"), SIZES.items())
def test_size(value, text):
    assert format.size(value) == text


@pytest.mark.parametrize(("value", "text"), [(0, "0"), (812, "812"), (16_128, "16.1 k"), (2_484_000, "2.48 M")])
def test_count(value, text):
    assert format.count(value) == text


@pytest.mark.parametrize(("value", "text"), LATENCIES.items())
def test_milliseconds(value, text):
    assert format.milliseconds(value) == text


@pytest.mark.parametrize(("value", "text"), TIMES.items())
def test_times(value, text):
    assert format.times(value) == text


def test_percentages_and_points():
    assert format.percent(0.987) == "98.7 %"
    assert format.percent_interval(0.987, 0.974, 0.994) == "98.7 % (97.4 to 99.4)"
    assert format.percent_interval(0.987, None, None) == "98.7 %"
    assert [format.points(x) for x in (1.2, -0.4, -0.01, 0.0)] == [
        "+1.2 points",
        "−0.4 points",
        "0.0 points",
        "0.0 points",
    ]


@pytest.mark.parametrize(("seconds", "text"), DURATIONS.items())
def test_duration(seconds, text):
    assert format.duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "1 s"),
        (19.6, "20 s"),
        (54.3, "50 s"),
        (95, "1.5 min"),
        (590, "10 min"),
        (878, "15 min"),
        (7800, "2 h 10 min"),
    ],
)
def test_an_estimate_promises_no_more_digits_than_it_has(seconds, text):
    assert format.roughly(seconds) == text


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (31, 48, "30 to 50 s"),
        (52, 130, "50 s to 2 min"),
        (38, 41, "about 40 s"),
        (7000, 9000, "2 h 00 min to 2 h 30 min"),
    ],
)
def test_a_range_of_time(low, high, text):
    assert format.between(low, high) == text


def test_what_is_left_is_a_range():
    assert [format.left(seconds) for seconds in (1, 50, 300)] == [
        "about 1 s left",
        "20 to 60 s left",
        "2 to 6.5 min left",
    ]


def test_rate_and_plural():
    assert format.rate(12_345) == "12,300 examples/s"
    assert format.rate(85.31) == "85.3 examples/s"
    assert [format.plural(n, "seed") for n in (1, 3, 1200)] == ["1 seed", "3 seeds", "1,200 seeds"]


ALL = [format.size, format.count, format.milliseconds, format.rate, format.times, format.percent]
ALL.extend([format.points, format.signed, format.duration, format.roughly])


@pytest.mark.parametrize("write", ALL)
def test_what_was_not_measured_is_a_dash(write):
    assert write(None) == write(float("nan")) == write(float("inf")) == format.MISSING


@given(st.floats(1e-6, 1e12))
def test_significant_digits_survive(value):
    """What is written is within half a unit of the third digit of what was measured."""
    number = format.milliseconds(value).removesuffix(" ms").replace(",", "")
    assert float(number) == pytest.approx(value, rel=0.00501)
    assert "e" not in number


@given(st.floats(0, 1e15))
def test_sizes_never_show_a_number_that_belongs_to_the_next_unit(value):
    number, unit = format.size(value).split()
    assert unit == "GB" or float(number.replace(",", "")) < 1000 or (unit, number) == ("B", "1000")


def test_what_further_workers_gain_of_an_estimate():
    assert "nothing" in format.shortest(20, 1.04)
    assert format.shortest(20, 1.97).startswith("At best 20 s ")
    assert "1.97×" in format.shortest(20, 1.97)
