"""Accuracy, or mean average precision, against what a model costs: the size of its file, or its latency."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

from kdcore.figures import style
from kdcore.figures.labels import Label, Mark, labels
from kdcore.report import format
from kdcore.report.comparison import BATCH, Difference
from kdcore.report.verdicts import the

Row = Mapping[str, Any]
TOLERABLE = 0.05  # below the reference by more than this, a model is not the one for the title
NARROW = 4  # costs that span less than this factor may have no round number between them
LABELLED = 8  # more points than this, and names beside them overlap


class Point(NamedTuple):
    """One variant: `x` in kB or milliseconds, scores as fractions, `sentence` for the hover.

    `score` is what `measure` says, "accuracy" or "mAP". `gain`: times smaller or faster than the reference, None
    where there is none; `differs`: False for no measurable difference.
    """

    run: str
    name: str
    role: str
    x: float
    measure: str
    score: float
    low: float
    high: float
    sentence: str
    gain: float | None
    differs: bool
    of: str = ""  # where several runs meet


class Frontier(NamedTuple):
    title: str
    x_title: str
    points: tuple[Point, ...]
    front: tuple[Point, ...]


class Baseline(NamedTuple):
    """The row that a comparison is made with, and the `differences` of all rows from it."""

    row: Row
    differences: Sequence[Difference]


def against_size(
    rows: Sequence[Row], runs: Mapping[str, str] | None = None, baseline: Baseline | None = None
) -> go.Figure:
    """Accuracy against the deployed file's bytes, for rows of `report.comparison.rows`; `runs`: names of several.

    The title compares with `baseline`, or without it each run's variants with its teacher.
    """
    return _figure(size_view(rows, runs, baseline))


def against_latency(
    rows: Sequence[Row], batch: int = 1, runs: Mapping[str, str] | None = None, baseline: Baseline | None = None
) -> go.Figure:
    """Accuracy against milliseconds per image at batch size 1 or 64, for rows of one timing session."""
    return _figure(latency_view(rows, batch, runs, baseline))


def size_view(rows: Sequence[Row], runs: Mapping[str, str] | None = None, baseline: Baseline | None = None) -> Frontier:
    rows = [row for row in rows if row["size_bytes"] and row["score"] is not None]  # a teacher may be no file
    references = _references(rows, baseline)
    points = []
    for row in rows:
        bytes_ = references.get(row["run"], {}).get("size_bytes")
        gain = bytes_ / row["size_bytes"] if bytes_ else None
        points.append(_point(row, row["size_bytes"] / 1000, format.size(row["size_bytes"]), gain, differs=True))
    return _view(_of_runs(points, runs), "File size (kB, log scale)", _smaller, references, baseline)


def latency_view(
    rows: Sequence[Row], batch: int = 1, runs: Mapping[str, str] | None = None, baseline: Baseline | None = None
) -> Frontier:
    """Raises ValueError for rows of several sessions: their times cannot be compared."""
    if len({row["session"] for row in rows if row["session"]}) > 1:
        raise ValueError("these rows were timed in several sessions; measure them together first")
    found = {(one.run, one.variant): one for one in baseline.differences} if baseline else {}
    points = []
    for row in rows:
        milliseconds = row["latency_ms"] if batch == 1 else 1000 / row["images_per_s"] if row["images_per_s"] else None
        if milliseconds and row["score"] is not None:
            gain, differs = _speed(row, batch, found.get((row["run"], row["variant"])))
            points.append(
                _point(row, milliseconds, f"{format.milliseconds(milliseconds)} per image", gain, differs=differs)
            )
    title = (
        "Latency, batch size 1 (ms, log scale)"
        if batch == 1
        else f"Latency per image, batch size {BATCH} (ms, log scale)"
    )
    faster = _latency if batch == 1 else _throughput
    return _view(_of_runs(points, runs), title, faster, _references(rows, baseline), baseline)


def _references(rows: Sequence[Row], baseline: Baseline | None) -> dict[str, Row]:
    """What the rows of each run are compared with: the baseline, or the run's own teacher."""
    if baseline and baseline.row["score"] is None:
        return {}
    if baseline:
        return {row["run"]: baseline.row for row in rows if row["measure"] == baseline.row["measure"]}
    return {row["run"]: row for row in rows if row["role"] == "teacher" and row["score"] is not None}


def _speed(row: Row, batch: int, difference: Difference | None) -> tuple[float | None, bool]:
    if difference:
        speed = difference.faster if batch == 1 else difference.throughput
        return (speed.value, speed.differs) if speed else (None, False)
    gain, differs = ("speedup", "speedup_differs") if batch == 1 else ("throughput_gain", "throughput_differs")
    return row[gain], bool(row[differs])


def _point(row: Row, x: float, cost: str, gain: float | None, *, differs: bool) -> Point:
    bounds = (row["score"], row["score_low"], row["score_high"])
    sentence = f"{row['variant']}: {format.scored(row['measure'], format.percent_interval(*bounds))}, {cost}"
    return Point(row["run"], row["variant"], row["role"], x, row["measure"], *bounds, sentence, gain, differs)


def _of_runs(points: list[Point], runs: Mapping[str, str] | None) -> list[Point]:
    """The same points, with the names of their runs."""
    if not runs:
        return points
    return [one._replace(sentence=f"{runs[one.run]}, {one.sentence}", of=f" of {runs[one.run]}") for one in points]


def _view(
    points: list[Point],
    x_title: str,
    gained: Callable[[Point, str], str],
    references: Mapping[str, Row],
    baseline: Baseline | None,
) -> Frontier:
    front = _front(points)
    reference = _reference_name(baseline, points)
    return Frontier(
        _title(front, gained, references, reference) if points else "No results yet", x_title, tuple(points), front
    )


def _reference_name(baseline: Baseline | None, points: Sequence[Point]) -> str:
    if baseline is None:
        return "its teacher"
    name, run = baseline.row["variant"], baseline.row["run"]
    of = next((point.of for point in points if point.run == run), "")
    return the(name) + of


def _front(points: list[Point]) -> tuple[Point, ...]:
    """The Pareto front, cheapest first."""
    best, front = -1.0, []
    for point in sorted(points, key=lambda point: (point.x, -point.score)):
        if point.score > best:
            front.append(point)
            best = point.score
    return tuple(front)


def _title(
    front: Sequence[Point], gained: Callable[[Point, str], str], references: Mapping[str, Row], reference: str
) -> str:
    """The cheapest variant on the front that is near its reference in accuracy."""
    if not references:
        return "The teacher is not a file, so there is no size or speed to compare with"
    others = [
        point
        for point in front
        if point.role != "teacher" and point.run in references and not _same(point, references[point.run])
    ]
    if not others:
        return "No other variant is on the Pareto front"
    near = (point for point in others if point.score >= references[point.run]["score"] - TOLERABLE)
    chosen = next(near, others[-1])
    name = chosen.name[:1].upper() + chosen.name[1:] + chosen.of
    return f"{name} {gained(chosen, reference)}, {_gap(chosen, references[chosen.run])}"


def _same(point: Point, row: Row) -> bool:
    return (point.run, point.name) == (row["run"], row["variant"])


def _smaller(point: Point, reference: str) -> str:
    ratio = point.gain
    if ratio is None:
        return f"has no size to compare with {reference}"
    return f"is {format.times(max(ratio, 1 / ratio))} {'smaller' if ratio >= 1 else 'larger'} than {reference}"


def _latency(point: Point, reference: str) -> str:
    """At batch size 1."""
    if point.gain is None:
        return f"was not timed together with {reference}"
    if not point.differs:
        return f"is not measurably faster than {reference} (batch 1)"
    faster = "faster" if point.gain >= 1 else "slower"
    return f"is {format.times(max(point.gain, 1 / point.gain))} {faster} than {reference} (batch 1)"


def _throughput(point: Point, reference: str) -> str:
    """At batch size 64."""
    if point.gain is None:
        return f"was not timed together with {reference}"
    if not point.differs:
        return f"has no measurably higher throughput than {reference} (batch {BATCH})"
    return f"has {format.times(point.gain)} the throughput of {reference} (batch {BATCH})"


def _gap(point: Point, reference: Row) -> str:
    difference = point.score - reference["score"]
    if abs(difference) < 0.0005:
        return f"at the same {point.measure}"
    points = format.points(100 * abs(difference)).removeprefix("+")
    of = "" if point.measure == "accuracy" else f" of {point.measure}"
    overlap = point.low <= reference["score_high"] and reference["score_low"] <= point.high
    return f"{points}{of} {'above' if difference > 0 else 'below'} it{' (intervals overlap)' * overlap}"


def _figure(view: Frontier) -> go.Figure:
    runs = list(dict.fromkeys(point.run for point in view.points))
    named = len(view.points) <= LABELLED
    marks = [Mark(one.name, math.log(one.x), one.score, one.low, one.high) for one in view.points]
    beside = dict(zip(view.points, labels(marks), strict=True)) if named else {}
    traces = [_line(view.front)] if len(view.front) > 1 else []
    traces += [
        _marks(role, [point for point in view.points if point.role == role], runs, beside)
        for role in dict.fromkeys(point.role for point in view.points)
    ]
    costs = [point.x for point in view.points] or [1.0]
    ticks = {"dtick": "D2"} if max(costs) >= NARROW * min(costs) else {"nticks": 5}
    return style.figure(
        traces,
        view.title,
        x={"title": view.x_title, "type": "log", "tickformat": ",~r", **ticks},
        y={"title": format.axis(point.measure for point in view.points)},
        showlegend=not named,
    )


def _line(front: Sequence[Point]) -> dict[str, Any]:
    return {
        "x": [point.x for point in front],
        "y": [100 * point.score for point in front],
        "mode": "lines",
        "line": {"color": style.INK, "dash": "dot", "width": 1, "shape": "hv"},
        "name": "Pareto front",
        "hoverinfo": "skip",
    }


def _marks(role: str, points: list[Point], runs: list[str], beside: Mapping[Point, Label]) -> dict[str, Any]:
    look = style.look(role)
    return {
        "x": [point.x for point in points],
        "y": [100 * point.score for point in points],
        "error_y": {
            "type": "data",
            "array": [100 * (point.high - point.score) for point in points],
            "arrayminus": [100 * (point.score - point.low) for point in points],
            "color": style.tint(look.colour, 0.5),
            "thickness": 1.5,
            "width": 4,
        },
        "mode": "markers+text" if beside else "markers",
        "text": [beside[point].text for point in points if beside],
        "textposition": [beside[point].position for point in points if beside] or None,
        "marker": {"color": look.colour, "symbol": look.symbol, "size": 13, "line": _outline(points, runs, look)},
        "name": look.label,
        "customdata": [[point.run, point.name] for point in points],
        "hovertext": [point.sentence for point in points],
        "hoverinfo": "text",
        "cliponaxis": False,
    }


def _outline(points: list[Point], runs: list[str], look: style.Look) -> dict[str, Any]:
    """With several runs in one chart every second one has a light outline; names do the rest."""
    if look.symbol.endswith("open"):
        return {"width": 2.5, "color": look.colour}
    return {"width": [2 * (runs.index(point.run) % 2) for point in points], "color": "#FFFFFF"}
