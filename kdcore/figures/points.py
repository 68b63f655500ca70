"""The variants of a comparison as points in charts of what they cost, and the headline above such a chart."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from kdcore.figures import style
from kdcore.figures.labels import Label
from kdcore.report import format
from kdcore.report.comparison import BATCH, Difference
from kdcore.report.limits import Limits, fits, per_image
from kdcore.report.quality import Quality
from kdcore.report.verdicts import the

Row = Mapping[str, Any]
APART = 0.035  # of the chart's width, between marks of one cost
TOLERABLE = 0.05  # below the reference by more than this, a model is not the one for the title


class Point(NamedTuple):
    """One variant: `x` in kB or milliseconds, its `quality`, `sentence` for the hover.

    `gain`: times smaller or faster than the reference, None where there is none; `differs`: False for no measurable
    difference. `fits`: whether it is within the limits.
    """

    run: str
    name: str
    role: str
    x: float
    quality: Quality
    sentence: str
    gain: float | None
    differs: bool
    of: str = ""  # where several runs meet
    fits: bool = True

    @property
    def key(self) -> tuple[str, str]:
        return self.run, self.name

    @property
    def y(self) -> float:
        return self.quality.drawn

    @property
    def ends(self) -> tuple[float, float]:
        """Those of its interval on the axis; its own place where there is none."""
        low, high = self.quality.ends
        return self.quality.scale.factor * low, self.quality.scale.factor * high


class Baseline(NamedTuple):
    """The row that a comparison is made with, and the `differences` of all rows from it."""

    row: Row
    differences: Sequence[Difference]


class Terms(NamedTuple):
    """What charts of one comparison share: names of its runs where they are several, the baseline, the limits.

    Without a baseline each run's variants are compared with its teacher.
    """

    runs: Mapping[str, str] | None = None
    baseline: Baseline | None = None
    limits: Limits = Limits()


PLAIN = Terms()


def of_size(rows: Sequence[Row], terms: Terms) -> list[Point]:
    """Points over kB, of the rows that have a file and a score."""
    found = references(rows, terms)
    points = []
    for row in rows:
        if row["size_bytes"] and row["quality"]:
            bytes_ = found.get(row["run"], {}).get("size_bytes")
            gain = bytes_ / row["size_bytes"] if bytes_ else None
            cost = format.size(row["size_bytes"])
            points.append(_point(row, row["size_bytes"] / 1000, cost, (gain, True), terms))
    return points


def of_latency(rows: Sequence[Row], batch: int, terms: Terms) -> list[Point]:
    """Points over milliseconds per image at batch size 1 or 64.

    Raises ValueError for rows of several sessions: their times cannot be compared.
    """
    if len({row["session"] for row in rows if row["session"]}) > 1:
        raise ValueError("these rows were timed in several sessions; measure them together first")
    differences = terms.baseline.differences if terms.baseline else ()
    found = {(one.run, one.variant): one for one in differences}
    points = []
    for row in rows:
        milliseconds = per_image(row, batch)
        if milliseconds and row["quality"]:
            gain = _speed(row, batch, found.get((row["run"], row["variant"])))
            cost = f"{format.milliseconds(milliseconds)} per example (batch {batch})"
            points.append(_point(row, milliseconds, cost, gain, terms))
    return points


def side_by_side(points: Sequence[Point]) -> dict[Point, float]:
    """The cost at which each point is drawn on a log axis: those of one cost beside each other, the best at its own."""
    costs = sorted({math.log(point.x) for point in points})
    wide = (costs[-1] - costs[0] if costs else 0.0) or math.log(2)
    drawn = {}
    for place, cost in enumerate(costs):
        column = sorted(
            (point for point in points if math.log(point.x) == cost), key=lambda point: -point.quality.merit
        )
        room = min((right - left for left, right in pairwise(costs[max(0, place - 1) : place + 2])), default=wide)
        step = min(APART * wide, 0.8 * room / len(column))
        for turn, point in enumerate(column):
            drawn[point] = point.x * math.exp(step * ((turn + 1) // 2) * (-1) ** turn)
    return drawn


def name_of(point: Point, x: float, label: Label, radius: float = 7) -> dict[str, Any]:
    """An annotation: the point's name beside its mark at `x` on a log axis, or joined to it by a thin line."""
    return {
        "x": math.log10(x),
        "y": point.y,
        "text": label.text,
        "ax": label.right if label.leader else 0,
        "ay": -label.up if label.leader else 0,
        "xshift": 0 if label.leader else label.right,
        "yshift": 0 if label.leader else label.up,
        "showarrow": label.leader,
        "arrowhead": 0,
        "arrowwidth": 1,
        "arrowcolor": style.INK,
        "standoff": radius,
        "xanchor": label.anchor,
        "yanchor": "middle",
        "align": label.anchor,
        "borderpad": 1,
        "font": {"size": 11, "color": style.INK},
        "opacity": 1.0 if point.fits else 0.5,
    }


def once_in_the_legend(traces: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The traces, of which one a name has its line there."""
    names: set[str] = set()
    made = []
    for trace in traces:
        made.append(trace | ({"showlegend": False} if trace["name"] in names else {}))
        names.add(trace["name"])
    return made


def references(rows: Iterable[Row], terms: Terms) -> dict[str, Row]:
    """What the rows of each run are compared with: the baseline, or the run's own teacher."""
    if terms.baseline is None:
        return {row["run"]: row for row in rows if row["role"] == "teacher" and row["quality"]}
    baseline = terms.baseline.row
    if not baseline["quality"]:
        return {}
    measure = baseline["quality"].measure
    return {row["run"]: baseline for row in rows if row["quality"] and row["quality"].measure == measure}


def _speed(row: Row, batch: int, difference: Difference | None) -> tuple[float | None, bool]:
    if difference:
        speed = difference.faster if batch == 1 else difference.throughput
        return (speed.value, speed.differs) if speed else (None, False)
    gain, differs = ("speedup", "speedup_differs") if batch == 1 else ("throughput_gain", "throughput_differs")
    return row[gain], bool(row[differs])


def _point(row: Row, x: float, cost: str, gain: tuple[float | None, bool], terms: Terms) -> Point:
    quality: Quality = row["quality"]
    sentence = f"{row['variant']}: {quality.words}, {cost}"
    of = ""
    if terms.runs:
        sentence, of = f"{terms.runs[row['run']]}, {sentence}", f" of {terms.runs[row['run']]}"
    inside = not terms.limits.any or terms.baseline is None or fits(row, terms.limits, terms.baseline.row)
    return Point(row["run"], row["variant"], row["role"], x, quality, sentence, *gain, of, inside)


def front(points: Iterable[Point]) -> tuple[Point, ...]:
    """The Pareto front, cheapest first."""
    best, found = -math.inf, []
    for point in sorted(points, key=lambda point: (point.x, -point.quality.merit)):
        if point.quality.merit > best:
            found.append(point)
            best = point.quality.merit
    return tuple(found)


def headline(rows: Sequence[Row], points: Sequence[Point], gained: Callable[[Point, str], str], terms: Terms) -> str:
    """Of the cheapest of these points that is near its reference in accuracy: what it gains, and what it costs."""
    if not points:
        return "No results yet"
    found = references(rows, terms)
    if not found:
        return "The teacher is not a file, so there is no size or speed to compare with"
    if not any(point.fits for point in points):
        return "No variant is within the limits"
    others = [one for one in points if one.role != "teacher" and one.run in found and one.key != _key(found[one.run])]
    if not others:
        return "No other variant is on the Pareto front"
    near = [one for one in others if one.quality.merit >= found[one.run]["quality"].merit - TOLERABLE]
    chosen = next((one for one in [*near, *reversed(others)] if one.fits), None)
    if chosen is None:
        return "No other variant on the Pareto front is within the limits"
    name = chosen.name[:1].upper() + chosen.name[1:] + chosen.of
    return f"{name} {gained(chosen, _reference_name(terms, points))}, {_gap(chosen, found[chosen.run])}"


def _key(row: Row) -> tuple[str, str]:
    return row["run"], row["variant"]


def _reference_name(terms: Terms, points: Sequence[Point]) -> str:
    if terms.baseline is None:
        return "its teacher"
    row = terms.baseline.row
    return the(row["variant"]) + (f" of {terms.runs[row['run']]}" if terms.runs else "")


def smaller(point: Point, reference: str) -> str:
    ratio = point.gain
    if ratio is None:
        return f"has no size to compare with {reference}"
    return f"is {format.times(max(ratio, 1 / ratio))} {'smaller' if ratio >= 1 else 'larger'} than {reference}"


def faster(point: Point, reference: str, batch: int) -> str:
    """Latency at batch size 1, throughput at 64."""
    if point.gain is None:
        return f"was not timed together with {reference}"
    if not point.differs:
        what = "is not measurably faster than" if batch == 1 else "has no measurably higher throughput than"
        return f"{what} {reference} (batch {batch})"
    if batch == BATCH:
        return f"has {format.times(point.gain)} the throughput of {reference} (batch {batch})"
    word = "faster" if point.gain >= 1 else "slower"
    return f"is {format.times(max(point.gain, 1 / point.gain))} {word} than {reference} (batch {batch})"


def _gap(point: Point, reference: Row) -> str:
    own, other = point.quality, reference["quality"]
    difference = own.value - other.value
    if abs(difference) < 0.0005:
        return f"at the same {own.measure if own.scale.sign > 0 else own.scale.name}"
    overlap = " (intervals overlap)" * own.meets(other)
    if own.scale.sign < 0:
        word = "more" if difference > 0 else "fewer"
        return f"with {abs(difference):.{own.scale.decimals}f} {word} {own.scale.unit}{overlap}"
    points = format.points(100 * abs(difference)).removeprefix("+")
    of = "" if own.measure == "accuracy" else f" of {own.measure}"
    return f"{points}{of} {'above' if difference > 0 else 'below'} it{overlap}"
