"""What a lesson asks its reader to predict, what was measured, and how far apart the two are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from kdcore.report import format

Value = float | str | tuple[float, ...] | tuple[str, ...]


class Answer(NamedTuple):
    """What a run measured, in the shape of the prediction.

    `low`, `high`: its 95 % interval, where there is one. `verdict`: what it shows, in a sentence.
    """

    value: Value
    low: Value | None = None
    high: Value | None = None
    verdict: str = ""


class Score(NamedTuple):
    """Whether a prediction came true, and how near it came, in a sentence."""

    hit: bool
    words: str


class BadPrediction(ValueError):
    """The value is no answer to what was asked."""


@dataclass(frozen=True)
class Number:
    """A number on a slider from `low` to `high`. One within `close` of the measured interval counts as right."""

    label: str
    unit: str
    low: float
    high: float
    step: float
    close: float
    kind: ClassVar[str] = "number"

    def accept(self, value: Any) -> float:
        """The prediction as it is kept. Raises BadPrediction."""
        return _within(value, self.low, self.high)

    def words(self, value: Value) -> str:
        """The value as people read it: "+14.2 points", "30 %"."""
        return quantity(_one(value), self.unit)

    def score(self, predicted: Value, answer: Answer) -> Score:
        mine, measured = _one(predicted), _one(answer.value)
        low, high = (measured if bound is None else _one(bound) for bound in (answer.low, answer.high))
        if low - self.close <= mine <= high + self.close:
            return Score(True, f"Your prediction agrees with the measurement, within {apart(self.close, self.unit)}.")
        side = "high" if mine > measured else "low"
        return Score(False, f"Your prediction is {apart(mine - measured, self.unit)} too {side}.")


@dataclass(frozen=True)
class Choice:
    """One of several options, by name."""

    label: str
    options: dict[str, str]
    kind: ClassVar[str] = "choice"

    def accept(self, value: Any) -> str:
        """The prediction as it is kept. Raises BadPrediction."""
        if not isinstance(value, str) or value not in self.options:
            raise BadPrediction("it is none of the options")
        return value

    def words(self, value: Value) -> str:
        return self.options.get(str(value), str(value))

    def score(self, predicted: Value, answer: Answer) -> Score:
        if predicted == answer.value:
            return Score(True, "You predicted what was measured.")
        return Score(False, "The measurement gives another answer.")


@dataclass(frozen=True)
class Curve:
    """A value at each of the points `x`, from `low` to `high`; right within `close` of the measured curve on average.

    `at`: how a point is named, with {} for its x, as in "T = {}".
    """

    label: str
    at: str
    x_title: str
    x: tuple[float, ...]
    unit: str
    low: float
    high: float
    step: float
    close: float
    kind: ClassVar[str] = "curve"

    def accept(self, value: Any) -> tuple[float, ...]:
        """The prediction as it is kept. Raises BadPrediction."""
        if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != len(self.x):
            raise BadPrediction(f"it needs {len(self.x)} numbers")
        return tuple(_within(one, self.low, self.high) for one in value)

    def words(self, value: Value) -> str:
        values = _many(value)
        named = (f"{quantity(y, self.unit)} at {self.point(x)}" for x, y in zip(self.x, values, strict=True))
        return ", ".join(named)

    def point(self, x: float) -> str:
        return self.at.format(f"{x:g}")

    def score(self, predicted: Value, answer: Answer) -> Score:
        mine, measured = _many(predicted), _many(answer.value)
        gaps = [a - b for a, b in zip(mine, measured, strict=True)]
        mean = sum(map(abs, gaps)) / len(gaps)
        worst = max(range(len(gaps)), key=lambda place: abs(gaps[place]))
        average = f"Your curve is {apart(mean, self.unit)} from the measured one on average"
        if mean <= self.close:
            return Score(True, f"{average}.")
        side = "high" if gaps[worst] > 0 else "low"
        furthest = f"{apart(gaps[worst], self.unit)} too {side} at {self.point(self.x[worst])}"
        return Score(False, f"{average}, and {furthest}.")


@dataclass(frozen=True)
class Matching:
    """One of the options, by name, for each of the `cases`. Most of them named is right."""

    label: str
    cases: tuple[str, ...]
    options: dict[str, str]
    kind: ClassVar[str] = "matching"

    def accept(self, value: Any) -> tuple[str, ...]:
        """The prediction as it is kept. Raises BadPrediction."""
        if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != len(self.cases):
            raise BadPrediction(f"it needs an answer for each of {', '.join(self.cases)}")
        if any(not isinstance(one, str) or one not in self.options for one in value):
            raise BadPrediction("one of the answers is none of the options")
        return tuple(value)

    def words(self, value: Value) -> str:
        assert isinstance(value, tuple)
        return "; ".join(f"{case}: {self.options[str(one)]}" for case, one in zip(self.cases, value, strict=True))

    def score(self, predicted: Value, answer: Answer) -> Score:
        assert isinstance(predicted, tuple)
        assert isinstance(answer.value, tuple)
        right = sum(mine == true for mine, true in zip(predicted, answer.value, strict=True))
        return Score(2 * right > len(self.cases), f"You named {right} of {len(self.cases)} correctly.")


Prediction = Number | Choice | Curve | Matching


def quantity(value: float, unit: str) -> str:
    """A number with its unit; differences, in points, have their sign."""
    if unit == "points":
        return format.points(value)
    if unit == "%":
        return format.percent(value / 100)
    return f"{format.trimmed(value)}{unit}" if unit == "×" else f"{format.trimmed(value)} {unit}"


def apart(gap: float, unit: str) -> str:
    """How far two values are from each other: percentages in points."""
    size = abs(gap)
    if unit in ("%", "points"):
        return f"{size:.1f} points"
    return quantity(size, unit)


def _within(value: Any, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadPrediction("it is no number")
    if not low <= value <= high:
        raise BadPrediction(f"it is not between {low:g} and {high:g}")
    return float(value)


def _one(value: Value) -> float:
    assert isinstance(value, int | float)
    return float(value)


def _many(value: Value) -> tuple[float, ...]:
    assert isinstance(value, tuple)
    return tuple(_one(one) for one in value)
