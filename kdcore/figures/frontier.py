"""Accuracy, or mean average precision, against what a model costs: its file's size, or the time of an answer."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

from kdcore.figures import style
from kdcore.figures.labels import Label, Mark, labels
from kdcore.report import format

Row = Mapping[str, Any]
TOLERABLE = 0.05  # below its teacher by more than this, a small model is no longer the one to point at
NARROW = 4  # costs that span less than this factor may have no round number between them
LABELLED = 8  # more points than this, and names beside them overlap


class Point(NamedTuple):
    """One variant: `x` in kB or milliseconds, scores as fractions, `sentence` for the hover.

    `score` is what `measure` says, "accuracy" or "mAP". `gain`: times smaller or faster than its run's teacher;
    `differs`: whether that can be told from no difference.
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


def against_size(rows: Sequence[Row], runs: Mapping[str, str] | None = None) -> go.Figure:
    """Accuracy against the deployed file's bytes, for rows of `report.comparison.rows`; `runs`: names of several."""
    return _figure(size_view(rows, runs))


def against_latency(rows: Sequence[Row], batch: int = 1, runs: Mapping[str, str] | None = None) -> go.Figure:
    """Accuracy against milliseconds an image at batch 1 or 64, for rows of one timing session."""
    return _figure(latency_view(rows, batch, runs))


def size_view(rows: Sequence[Row], runs: Mapping[str, str] | None = None) -> Frontier:
    rows = [row for row in rows if row["size_bytes"] and row["score"] is not None]  # a teacher may be no file
    teachers = {row["run"]: row["size_bytes"] for row in rows if row["role"] == "teacher"}
    points = []
    for row in rows:
        gain = teachers[row["run"]] / row["size_bytes"] if row["run"] in teachers else None
        points.append(_point(row, row["size_bytes"] / 1000, format.size(row["size_bytes"]), gain, differs=True))
    return _view(_of_runs(points, runs), "Size of the file (kB, log scale)", _smaller)


def latency_view(rows: Sequence[Row], batch: int = 1, runs: Mapping[str, str] | None = None) -> Frontier:
    """Raises ValueError for rows of several sessions: their times cannot be compared."""
    if len({row["session"] for row in rows if row["session"]}) > 1:
        raise ValueError("these rows were timed in several sessions; measure them together first")
    gain, differs = ("speedup", "speedup_differs") if batch == 1 else ("throughput_gain", "throughput_differs")
    points = []
    for row in rows:
        milliseconds = row["latency_ms"] if batch == 1 else 1000 / row["images_per_s"] if row["images_per_s"] else None
        if milliseconds and row["score"] is not None:
            told = f"{format.milliseconds(milliseconds)} an image"
            points.append(_point(row, milliseconds, told, row[gain], differs=bool(row[differs])))
    title = "Time of one answer (ms, log scale)" if batch == 1 else "Time an image, 64 at a time (ms, log scale)"
    return _view(_of_runs(points, runs), title, _faster)


def _point(row: Row, x: float, told: str, gain: float | None, *, differs: bool) -> Point:
    bounds = (row["score"], row["score_low"], row["score_high"])
    sentence = f"{row['variant']}: {format.scored(row['measure'], format.percent_interval(*bounds))}, {told}"
    return Point(row["run"], row["variant"], row["role"], x, row["measure"], *bounds, sentence, gain, differs)


def _of_runs(points: list[Point], runs: Mapping[str, str] | None) -> list[Point]:
    """The same points, which say what run they are of."""
    if not runs:
        return points
    return [one._replace(sentence=f"{runs[one.run]}, {one.sentence}", of=f" of {runs[one.run]}") for one in points]


def _view(points: list[Point], x_title: str, gained: Callable[[Point], str]) -> Frontier:
    front = _front(points)
    return Frontier(_title(points, front, gained), x_title, tuple(points), front)


def _front(points: list[Point]) -> tuple[Point, ...]:
    """Those that no other point beats on both counts, cheapest first."""
    best, front = -1.0, []
    for point in sorted(points, key=lambda point: (point.x, -point.score)):
        if point.score > best:
            front.append(point)
            best = point.score
    return tuple(front)


def _title(points: list[Point], front: tuple[Point, ...], gained: Callable[[Point], str]) -> str:
    teachers = {point.run: point.score for point in points if point.role == "teacher"}
    if points and not teachers:
        return "What accuracy costs; the teacher is no file, so nothing is smaller or faster than it"
    small = [point for point in front if point.role != "teacher" and point.run in teachers]
    if not small:
        return "No small model is on the front yet"
    near = (point for point in small if point.score >= teachers[point.run] - TOLERABLE)
    chosen = next(near, small[-1])
    name = chosen.name[:1].upper() + chosen.name[1:] + chosen.of
    return f"{name} {gained(chosen)}, {_gap(chosen.score - teachers[chosen.run], chosen.measure)}"


def _smaller(point: Point) -> str:
    ratio = point.gain or 1.0
    return (
        f"is {format.times(ratio)} smaller than its teacher" if ratio >= 1 else f"is {format.times(1 / ratio)} larger"
    )


def _faster(point: Point) -> str:
    if point.gain is None or not point.differs:
        return "is not measurably faster than its teacher"
    told = f"{format.times(point.gain)} faster" if point.gain >= 1 else f"{format.times(1 / point.gain)} slower"
    return f"answers {told} than its teacher"


def _gap(difference: float, measure: str) -> str:
    if abs(difference) < 0.0005:
        return "as often right" if measure == "accuracy" else f"at the same {measure}"
    points = format.points(100 * abs(difference)).removeprefix("+")
    of = "" if measure == "accuracy" else f" of {measure}"
    return f"{points}{of} {'above' if difference > 0 else 'below'} it"


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
        "name": "Best at its cost",
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
