"""A prediction beside what was measured: on a line of numbers, or as two curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

from kdcore.figures import style
from kdcore.report import format

PREDICTED, MEASURED = style.ROLES["shared"], style.ROLES["teacher"]


class Line(NamedTuple):
    """A predicted and a measured value on an axis from `low` to `high`; `interval`: of the measured one."""

    title: str
    axis: str
    low: float
    high: float
    predicted: float
    measured: float
    interval: tuple[float, float] | None = None


class Curves(NamedTuple):
    """A predicted curve over `x`, and the measured one once it may be seen; `lows`, `highs`: its interval."""

    title: str
    x_title: str
    axis: str
    low: float
    high: float
    x: tuple[float, ...]
    predicted: tuple[float, ...]
    measured: tuple[float, ...] | None = None
    lows: tuple[float, ...] | None = None
    highs: tuple[float, ...] | None = None


def number_line(view: Line) -> go.Figure:
    """Both values on one line, the measured one with its interval."""
    error = {}
    if view.interval:
        low, high = view.interval
        error = {"error_x": _error([view.measured], [low], [high])}
    span = min(view.low, view.measured), max(view.high, view.measured)
    return style.figure(
        [_mark("Prediction", PREDICTED, view.predicted), _mark("Measured", MEASURED, view.measured) | error],
        view.title,
        x={"title": view.axis, "range": _padded(*span)},
        y={"title": "", "range": [-1, 1], "showticklabels": False, "showgrid": False},
        height=150,
    )


def curves(view: Curves) -> go.Figure:
    """The predicted curve, and beside it the measured one where it is given."""
    traces = [_curve("Prediction", PREDICTED, view.x, view.predicted, "dash")]
    spans = [view.low, view.high]
    if view.measured:
        measured = _curve("Measured", MEASURED, view.x, view.measured, "solid")
        if view.lows and view.highs:
            measured["error_y"] = _error(view.measured, view.lows, view.highs)
        traces.append(measured)
        spans += view.measured
    wide = min(view.x) > 0 and max(view.x) / min(view.x) >= 8
    ticks = {"tickvals": view.x, "ticktext": [f"{x:g}" for x in view.x]}
    return style.figure(
        traces,
        view.title,
        x={"title": view.x_title + ", log scale" * wide, "type": "log" if wide else "linear", **ticks},
        y={"title": view.axis, "range": _padded(min(spans), max(spans))},
        height=300,
    )


def _padded(low: float, high: float) -> list[float]:
    pad = 0.03 * (high - low)
    return [low - pad, high + pad]


def _error(values: Sequence[float], lows: Sequence[float], highs: Sequence[float]) -> dict[str, Any]:
    return {
        "type": "data",
        "array": [high - value for value, high in zip(values, highs, strict=True)],
        "arrayminus": [value - low for value, low in zip(values, lows, strict=True)],
        "color": style.tint(MEASURED.colour, 0.6),
        "thickness": 3,
    }


def _mark(name: str, look: style.Look, value: float) -> dict[str, Any]:
    return {
        "x": [value],
        "y": [0],
        "mode": "markers",
        "name": name,
        "marker": {"color": look.colour, "symbol": look.symbol, "size": 16},
        "hovertemplate": f"{name}: {format.trimmed(value).replace('-', format.MINUS)}<extra></extra>",
    }


def _curve(name: str, look: style.Look, x: Sequence[float], y: Sequence[float], dash: str) -> dict[str, Any]:
    return {
        "x": x,
        "y": y,
        "mode": "lines+markers",
        "name": name,
        "line": {"color": look.colour, "dash": dash},
        "marker": {"symbol": look.symbol, "size": 11},
        "hovertemplate": f"{name}, %{{x:g}}: %{{y:.3g}}<extra></extra>",
    }
