"""Robustness: accuracy against the severity of a corruption, and what compression did to it class by class."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any, NamedTuple

import plotly.graph_objects as go

from kdcore.figures import style
from kdcore.inputs import titles
from kdcore.inputs.kind import SEVERITIES
from kdcore.report import format
from kdcore.report.quality import axis
from kdcore.report.robustness import ClassChange, Robust, by_class

NAMED = 20  # more classes than this do not fit: those that lost most are shown


class Line(NamedTuple):
    """A variant's scores in per cent, on clean images and at severities 1 to 5."""

    name: str
    role: str
    scores: tuple[float, ...]


class Falls(NamedTuple):
    title: str
    value_title: str
    severity_title: str
    lines: tuple[Line, ...]


class Changes(NamedTuple):
    """`points[c][k]` is what class c changed by in condition k (clean, then the corruptions), None without images."""

    title: str
    unit: str
    classes: tuple[str, ...]
    conditions: tuple[str, ...]
    points: tuple[tuple[float | None, ...], ...]
    images: tuple[int, ...]
    of: int


def falls(found: Sequence[Robust], corruption: str | None = None) -> go.Figure:
    """Score against severity, a line for each variant: under one corruption, or the mean over all of them."""
    return _lines(falls_view(found, corruption))


def falls_view(found: Sequence[Robust], corruption: str | None = None) -> Falls:
    lines = tuple(
        Line(one.variant, one.role, (100 * one.clean, *(100 * score for score in _scores(one, corruption))))
        for one in found
    )
    name = titles()[corruption] if corruption else "Corruption"
    severity = f"Severity of the {_inside(name)} (0: clean)"
    return Falls(_conclusion(name, lines), axis(one.measure for one in found), severity, lines)


def _scores(one: Robust, corruption: str | None) -> tuple[float, ...]:
    if corruption:
        return one.scores[corruption]
    return tuple(fmean(level) for level in zip(*one.scores.values(), strict=True))


def _conclusion(name: str, lines: Sequence[Line]) -> str:
    if not lines:
        return "Robustness was not measured yet"
    last, best = lines[-1], max(lines, key=_kept)
    change = (
        f"{name} takes {last.name} from {format.percent_change(last.scores[0] / 100, _kept(last) / 100)} on average"
    )
    if len(lines) == 1:
        return change
    if best is last:
        return f"{change}, the highest of all"
    return f"{change}; highest: {best.name}, {format.percent(_kept(best) / 100)}"


def _kept(line: Line) -> float:
    """Its mean over the severities."""
    return fmean(line.scores[1:])


def _inside(name: str) -> str:
    """A name as it stands within a sentence; JPEG keeps its capitals."""
    return name if name.isupper() else name.lower()


def _lines(view: Falls) -> go.Figure:
    traces = [
        {
            "x": (0, *SEVERITIES),
            "y": line.scores,
            "mode": "lines+markers",
            "name": line.name,
            "line": {"color": style.look(line.role).colour, "dash": dash},
            "marker": {"symbol": style.look(line.role).symbol, "size": 9},
            "hovertemplate": f"{line.name}: %{{y:.1f}} % at severity %{{x}}<extra></extra>",
        }
        for line, dash in zip(view.lines, style.dashes([line.role for line in view.lines]), strict=True)
    ]
    return style.figure(
        traces,
        view.title,
        x={"title": view.severity_title, "dtick": 1, "range": [-0.2, SEVERITIES[-1] + 0.2]},
        y={"title": view.value_title},
        height=440,
    )


def class_changes(one: Robust, other: Robust) -> go.Figure:
    """Heat map of what each class gained or lost from `other` to `one`, on clean and on corrupted images."""
    return _heat(class_changes_view(one, other))


def class_changes_view(one: Robust, other: Robust) -> Changes:
    changes = by_class(one, other)
    shown = changes[:NAMED]
    return Changes(
        _worst(one, other, changes),
        "recall" if one.measure == "accuracy" else "average precision",
        tuple(change.name for change in shown),
        ("Clean", *(titles()[name] for name in one.scores)),
        tuple(tuple(map(_points, (change.clean, *change.by_corruption.values()))) for change in shown),
        tuple(change.n for change in shown),
        len(changes),
    )


def _points(value: float | None) -> float | None:
    return None if value is None else 100 * value


def _worst(one: Robust, other: Robust, changes: Sequence[ClassChange]) -> str:
    measured = [change for change in changes if change.beyond is not None]
    if not measured:
        return "No class was measured"
    worst = measured[0]
    assert worst.beyond is not None
    assert worst.clean is not None
    if worst.beyond >= 0:
        return f"From {other.variant} to {one.variant}, no class lost more on corrupted inputs than on clean inputs"
    total = worst.clean + worst.beyond
    corrupted, clean = format.points(100 * total), format.signed(100 * worst.clean)
    return (
        f"From {other.variant} to {one.variant}, class {worst.name} {'lost most' if total < 0 else 'gained least'}: "
        f"{corrupted} on corrupted inputs, {clean} on clean inputs"
    )


def _heat(view: Changes) -> go.Figure:
    most = max((abs(value) for row in view.points for value in row if value is not None), default=0.0) or 1.0
    some = f"Class ({len(view.classes)} that lost most of {view.of})" if len(view.classes) < view.of else "Class"
    hover = f"%{{text}} points of {view.unit}, %{{customdata}} examples"
    heat = {
        "type": "heatmap",
        "x": view.conditions,
        "y": view.classes,
        "z": view.points,
        "zmin": -most,
        "zmax": most,
        "colorscale": style.DIVERGING,
        "colorbar": {"title": {"text": "points"}, "thickness": 10, "outlinewidth": 0},
        "text": [["" if value is None else format.signed(value) for value in row] for row in view.points],
        "customdata": [[count] * len(view.conditions) for count in view.images],
        "hovertemplate": f"Class %{{y}}, %{{x}}: {hover}<extra></extra>",
        "hoverongaps": False,
        "xgap": 1,
        "ygap": 1,
    }
    return style.figure(
        [heat, *_numbers(view, style.STRONG * most)],
        view.title,
        x={"title": f"Change in {view.unit} (points, mean over the severities)", "type": "category", "showgrid": False},
        y={"title": some, "type": "category", "showgrid": False, "autorange": "reversed", "dtick": 1},
        height=max(300, 110 + 26 * len(view.classes)),
        showlegend=False,
    )


def _numbers(view: Changes, strong: float) -> list[dict[str, Any]]:
    """The cells' numbers: white on strong colours, else as the page writes. A heat map's own text takes clear cells for
    white ones, and is dark on a dark page."""
    cells = [
        (name, condition, value)
        for name, row in zip(view.classes, view.points, strict=True)
        for condition, value in zip(view.conditions, row, strict=True)
        if value is not None
    ]
    parts = [[cell for cell in cells if (abs(cell[2]) > strong) == white] for white in (False, True)]
    return [
        {
            "mode": "text",
            "x": [condition for _, condition, _ in part],
            "y": [name for name, _, _ in part],
            "text": [format.signed(value) for _, _, value in part],
            "textfont": font,
            "hoverinfo": "skip",
        }
        for part, font in zip(parts, ({"size": 12}, {"size": 12, "color": "#FFFFFF"}), strict=True)
    ]
