"""The points of a sweep as parallel coordinates, and how much of the differences each setting accounts for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go

from kdcore.figures import style
from kdcore.plan.naming import describe
from kdcore.report import format

Row = Mapping[str, Any]
ENOUGH = 6  # points, for a share of the variance to mean anything
VARIED = 1.2  # times: costs that differ by less have no axis
LONGEST = 24  # letters of a value at an axis
COLOURS = [[0, style.ROLES["low_rank"].colour], [1, style.ROLES["quantized"].colour]]


class Axis(NamedTuple):
    """One coordinate: `values` by point; `names` at 0, 1, 2 where they are no numbers. `setting`: it was swept."""

    label: str
    values: tuple[float, ...]
    names: tuple[str, ...] = ()
    setting: bool = False


class Parallel(NamedTuple):
    title: str
    axes: tuple[Axis, ...]
    scores: tuple[float, ...]


class Importance(NamedTuple):
    """The share of the variance of the scores, 0 to 1, that a setting accounts for by itself."""

    setting: str
    share: float


def swept(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The last rows of each point of the sweep: those that depend on most of its settings."""
    most = max((len(row["values"]) for row in rows), default=0)
    found = [row for row in rows if most and len(row["values"]) == most and row["score"] is not None]
    return [row for row in found if row["role"] == found[-1]["role"]]


def parallel(rows: Sequence[Row]) -> go.Figure:
    """A line for each point of a sweep; `rows` are those of `swept`, two or more."""
    return _figure(parallel_view(rows))


def parallel_view(rows: Sequence[Row]) -> Parallel:
    scores = tuple(100 * row["score"] for row in rows)
    axes = [_setting(path, rows) for path in rows[0]["values"]]
    axes.append(Axis(format.axis(row["measure"] for row in rows), scores))
    for label, column, scale in (("Size (kB)", "size_bytes", 1e-3), ("Latency, batch 1 (ms)", "latency_ms", 1)):
        found = [row[column] for row in rows]
        if None not in found and max(found) >= VARIED * min(found):
            axes.append(Axis(label, tuple(scale * value for value in found)))
    best = rows[max(range(len(rows)), key=lambda place: scores[place])]
    where = ", ".join(f"{name(path)} {_short(value)}" for path, value in best["values"].items())
    title = f"Best of {len(rows)}: {where}, {format.scored(best['measure'], format.percent(best['score']))}"
    return Parallel(title, tuple(axes), scores)


def name(path: str) -> str:
    """The last part of a dotted path, in words."""
    return path.rsplit(".", 1)[-1].replace("_", " ")


def _short(value: Any) -> str:
    told = describe(value)
    return told if len(told) <= LONGEST else f"{told[: LONGEST - 1]}…"


def _setting(path: str, rows: Sequence[Row]) -> Axis:
    values = [row["values"][path] for row in rows]
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return Axis(name(path), tuple(map(float, values)), setting=True)
    names = list(dict.fromkeys(map(_short, values)))
    return Axis(name(path), tuple(float(names.index(_short(value))) for value in values), tuple(names))


def importances(rows: Sequence[Row]) -> list[Importance] | str:
    """What each setting accounts for, the most important first; or why that cannot be said.

    Of a full grid the variance of the scores is the sum of what each setting accounts for by itself (that of the means
    at its values) and of the rest: settings that depend on each other, and chance.
    """
    paths = list(rows[0]["values"]) if rows else []
    if len(paths) < 2:
        return "Only one setting was swept, so there is nothing to rank."
    levels = [[describe(row["values"][path]) for row in rows] for path in paths]
    if len(rows) < ENOUGH or len(rows) != math.prod(len(set(one)) for one in levels):
        return f"{format.plural(len(rows), 'point')}: too few, or no full grid, to say how much each setting matters."
    scores = np.array([row["score"] for row in rows])
    if not scores.var():
        return "All points have the same score."
    found = [Importance(name(path), _share(scores, one)) for path, one in zip(paths, levels, strict=True)]
    return sorted(found, key=lambda one: -one.share)


def _share(scores: np.ndarray, levels: Sequence[str]) -> float:
    at = np.array(levels)
    means = np.array([scores[at == level].mean() for level in levels])
    return float(means.var() / scores.var())


def importance(found: Sequence[Importance]) -> go.Figure:
    """Bars of these shares, and of the rest."""
    rest = max(0.0, 1 - sum(one.share for one in found))
    bars = [*found, Importance("together, and chance", rest)][::-1]
    first = found[0]
    return style.figure(
        [
            {
                "type": "bar",
                "orientation": "h",
                "x": [100 * one.share for one in bars],
                "y": [one.setting for one in bars],
                "text": [format.percent(one.share) for one in bars],
                "textposition": "outside",
                "cliponaxis": False,
                "marker": {"color": [style.INK, *[style.ROLES["teacher"].colour] * len(found)]},
                "hoverinfo": "skip",
            }
        ],
        f"{first.setting.capitalize()} accounts for {format.percent(first.share)} of the variance between the points",
        x={"title": "Share of the variance (%)", "range": [0, 115]},
        y={"title": "", "type": "category", "showgrid": False},
        height=130 + 34 * len(bars),
    )


def _figure(view: Parallel) -> go.Figure:
    figure = style.figure([], view.title, x={"title": ""}, y={"title": ""}, height=420)
    figure.add_trace(
        go.Parcoords(
            dimensions=[_dimension(axis) for axis in view.axes],
            line={"color": view.scores, "colorscale": COLOURS},
            labelfont={"color": style.INK, "size": 13},
            tickfont={"color": style.INK, "size": 12},
            rangefont={"color": style.CLEAR},
        )
    )
    figure.layout.margin = {"l": 90, "r": 90, "t": 70, "b": 20}
    return figure


def _dimension(axis: Axis) -> dict[str, Any]:
    if axis.names:
        return {
            "label": axis.label,
            "values": axis.values,
            "tickvals": list(range(len(axis.names))),
            "ticktext": axis.names,
        }
    ticks = {"tickvals": sorted(set(axis.values))} if axis.setting else {}
    return {"label": axis.label, "values": axis.values, "tickformat": ".3~g", **ticks}
