"""What variants are judged by, such as accuracy, against what a model costs: the size of its file, or its latency."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise
from string import ascii_uppercase
from typing import Any, NamedTuple

import plotly.graph_objects as go

from kdcore.figures import style
from kdcore.figures.labels import NONE, Label, Mark, labels
from kdcore.figures.points import (
    PLAIN,
    Point,
    Row,
    Terms,
    faster,
    front,
    headline,
    name_of,
    of_latency,
    of_size,
    once_in_the_legend,
    side_by_side,
    smaller,
)
from kdcore.report.quality import axis

NARROW = 4  # costs that span less than this factor may have no round number between them
LABELLED = 8  # more points than this, and their names are left to the hover


class Frontier(NamedTuple):
    """`x_limit` and `y_limit`: at most this cost, at worst this quality, both on their axes; None for no limit."""

    title: str
    x_title: str
    points: tuple[Point, ...]
    front: tuple[Point, ...]
    x_limit: float | None = None
    y_limit: float | None = None


def against_size(rows: Sequence[Row], terms: Terms = PLAIN) -> go.Figure:
    """Accuracy against the deployed file's bytes, for rows of `report.comparison.rows`."""
    return _figure(size_view(rows, terms))


def against_latency(rows: Sequence[Row], batch: int = 1, terms: Terms = PLAIN) -> go.Figure:
    """Accuracy against milliseconds per image at batch size 1 or 64, for rows of one timing session."""
    return _figure(latency_view(rows, batch, terms))


def size_view(rows: Sequence[Row], terms: Terms = PLAIN) -> Frontier:
    points = of_size(rows, terms)
    best = front(points)
    most = terms.limits.size_bytes
    title = "File size (kB, log scale)" + "<br>equal sizes stand side by side" * _shared(points)
    return Frontier(
        headline(rows, best, smaller, terms) if points else "No results yet", title, tuple(points), best,
        None if most is None else most / 1000, _least(terms),
    )  # fmt: skip


def latency_view(rows: Sequence[Row], batch: int = 1, terms: Terms = PLAIN) -> Frontier:
    """Raises ValueError for rows of several sessions: their times cannot be compared."""
    points = of_latency(rows, batch, terms)
    best = front(points)
    x_title = f"Latency{'' if batch == 1 else ' per example'}, batch {batch} (ms, log scale)"
    title = headline(rows, best, partial(faster, batch=batch), terms)
    limit = terms.limits.milliseconds if terms.limits.batch == batch else None
    return Frontier(title, x_title, tuple(points), best, limit, _least(terms))


def _least(terms: Terms) -> float | None:
    """The worst quality that is within the limits, on its axis."""
    quality = terms.baseline.row["quality"] if terms.baseline else None
    if terms.limits.points is None or quality is None:
        return None
    return quality.drawn - quality.scale.sign * terms.limits.points


def _shared(points: Sequence[Point]) -> bool:
    """Whether several points have one cost, so that they would cover each other."""
    return len({point.x for point in points}) < len(points)


def _figure(view: Frontier) -> go.Figure:
    runs = list(dict.fromkeys(point.run for point in view.points))
    drawn = side_by_side(view.points)
    beside = _names(view, drawn) if len(view.points) <= LABELLED else {}
    traces = [_line(view.front)] if len(view.front) > 1 else []
    traces += [_limit(line, first=place == 0) for place, line in enumerate(_limits(view))]
    groups = dict.fromkeys((point.role, point.fits) for point in view.points)
    letters = dict(zip(runs, ascii_uppercase, strict=False)) if len(runs) > 1 else {}
    marks = [
        _marks([point for point in view.points if (point.role, point.fits) == group], letters, drawn)
        for group in groups
    ]
    traces += once_in_the_legend(marks)
    of = {point.run: point.of.removeprefix(" of ") for point in view.points}
    traces += [_legend_of(f"{letter}: {of[run] or run}") for run, letter in letters.items()]
    costs = [point.x for point in view.points] or [1.0]
    ticks = {"dtick": "D2"} if max(costs) >= NARROW * min(costs) else {"nticks": 5}
    return style.figure(
        traces,
        view.title,
        x={"title": view.x_title, "type": "log", "tickformat": ",~r", **ticks},
        y={"title": axis(point.quality.measure for point in view.points)},
        showlegend=bool(letters) or len(beside) < len(view.points) or NONE in beside.values(),
        annotations=[name_of(point, drawn[point], label) for point, label in beside.items() if label.text],
    )


def _names(view: Frontier, drawn: Mapping[Point, float]) -> dict[Point, Label]:
    marks = [Mark(one.name, math.log(drawn[one]), one.y, *one.ends) for one in view.points]
    corners = [(math.log(one.x), one.y) for one in view.front]
    stairs = [corner for left, right in pairwise(corners) for corner in (left, (right[0], left[1]))]
    limits = [[(math.log(x), y) for x, y in line] for line in _limits(view)]
    return dict(zip(view.points, labels(marks, [[*stairs, *corners[-1:]], *limits]), strict=True))


def _limits(view: Frontier) -> list[list[tuple[float, float]]]:
    """Lines at the highest cost and at the worst quality that are within the limits, on their axes."""
    across = [one.x for one in view.points] or [1.0]
    up = [end for one in view.points for end in one.ends] or [1.0]
    lines = []
    if view.x_limit:
        lines.append([(view.x_limit, min(up)), (view.x_limit, max(up))])
    if view.y_limit is not None:
        lines.append([(min(across), view.y_limit), (max(across), view.y_limit)])
    return lines


def _limit(line: Sequence[tuple[float, float]], *, first: bool) -> dict[str, Any]:
    x, y = zip(*line, strict=True)
    return {
        "x": x,
        "y": y,
        "mode": "lines",
        "name": "Limit",
        "hoverinfo": "skip",
        "showlegend": first,
        "line": {"color": style.ROLES["quantized"].colour, "width": 1.5, "dash": "dash"},
    }


def _line(best: Sequence[Point]) -> dict[str, Any]:
    return {
        "x": [point.x for point in best],
        "y": [point.y for point in best],
        "mode": "lines",
        "line": {"color": style.INK, "dash": "dot", "width": 1, "shape": "hv"},
        "name": "Pareto front",
        "hoverinfo": "skip",
    }


def _marks(points: list[Point], letters: Mapping[str, str], drawn: Mapping[Point, float]) -> dict[str, Any]:
    """The marks of one role, either all within the limits or grey; of several runs each has its run's letter."""
    look = style.look(points[0].role)
    if not points[0].fits:
        look = look._replace(label="Outside the limits", colour=style.INK)
    hollow = look.symbol.endswith("open")
    return {
        "x": [drawn[point] for point in points],
        "y": [point.y for point in points],
        "error_y": {
            "type": "data",
            "array": [point.ends[1] - point.y for point in points],
            "arrayminus": [point.y - point.ends[0] for point in points],
            "color": style.tint(look.colour, 0.5),
            "thickness": 1.5,
            "width": 4,
        },
        "mode": "markers+text" if letters else "markers",
        "text": [letters.get(point.run, "") for point in points] if letters else None,
        "textfont": {"size": 10, "color": look.colour if hollow else style.on(look.colour), "weight": "bold"},
        "opacity": 1.0 if points[0].fits else 0.4,
        "marker": {
            "color": look.colour,
            "symbol": look.symbol,
            "size": 19 if letters else 13,
            "line": {"width": 2.5 if hollow else 0, "color": look.colour},
        },
        "unselected": {"marker": {"opacity": 1}},
        "selected": {"marker": {"size": 24 if letters else 19}},
        "name": look.label,
        "legendgroup": look.label,
        "customdata": [[point.run, point.name] for point in points],
        "hovertext": [point.sentence for point in points],
        "hoverinfo": "text",
        "cliponaxis": False,
    }


def _legend_of(name: str) -> dict[str, Any]:
    """The line of the legend that names the run of a letter."""
    return {
        "x": [None],
        "y": [None],
        "mode": "markers",
        "marker": {"size": 1, "color": style.CLEAR},
        "name": name,
        "hoverinfo": "skip",
    }
