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
from kdcore.report.quality import axis

Row = Mapping[str, Any]
ENOUGH = 6  # points, for a share of the variance to mean anything
VARIED = 1.2  # times: costs that differ by less have no axis
LONGEST = 24  # letters of a value at an axis
TICKS = 8  # numbers at an axis
WIDE = 8  # values that span more than this factor have a log scale
COLOURS = style.ROLES["low_rank"].colour, style.ROLES["quantized"].colour  # of the lowest and the highest score


class Axis(NamedTuple):
    """One coordinate: `values` by point; `names` at 0, 1, 2 where they are no numbers. `setting`: it was swept."""

    label: str
    values: tuple[float, ...]
    names: tuple[str, ...] = ()
    setting: bool = False


class Parallel(NamedTuple):
    """`scores` in per cent and `sentences` are by point."""

    title: str
    axes: tuple[Axis, ...]
    scores: tuple[float, ...]
    sentences: tuple[str, ...]


class Importance(NamedTuple):
    """The share of the variance of the scores, 0 to 1, that a setting accounts for by itself."""

    setting: str
    share: float


def swept(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The last rows of each point of the sweep: those that depend on most of its settings."""
    most = max((len(row["values"]) for row in rows), default=0)
    found = [row for row in rows if most and len(row["values"]) == most and row["quality"]]
    return [row for row in found if row["role"] == found[-1]["role"]]


def parallel(rows: Sequence[Row]) -> go.Figure:
    """A line for each point of a sweep; `rows` are those of `swept`, two or more."""
    return _figure(parallel_view(rows))


def parallel_view(rows: Sequence[Row]) -> Parallel:
    scores = tuple(row["quality"].scale.factor * row["quality"].merit for row in rows)
    axes = [_setting(path, rows) for path in rows[0]["values"]]
    axes.append(Axis(axis(row["quality"].measure for row in rows), tuple(row["quality"].drawn for row in rows)))
    for label, column, scale in (("Size (kB)", "size_bytes", 1e-3), ("Latency, batch 1 (ms)", "latency_ms", 1)):
        found = [row[column] for row in rows]
        if None not in found and max(found) >= VARIED * min(found):
            axes.append(Axis(label, tuple(scale * value for value in found)))
    sentences = tuple(map(_sentence, rows))
    best = max(range(len(rows)), key=lambda place: scores[place])
    return Parallel(f"Best of {len(rows)}: {sentences[best]}", tuple(axes), scores, sentences)


def _sentence(row: Row) -> str:
    where = ", ".join(f"{name(path)} {_short(value)}" for path, value in row["values"].items())
    return f"{where}, {row['quality']._replace(low=None, high=None).words}"


def name(path: str) -> str:
    """The last part of a dotted path, in words."""
    return path.rsplit(".", 1)[-1].replace("_", " ")


def _short(value: Any) -> str:
    said = describe(value)
    return said if len(said) <= LONGEST else f"{said[: LONGEST - 1]}…"


def _setting(path: str, rows: Sequence[Row]) -> Axis:
    values = [row["values"][path] for row in rows]
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return Axis(name(path), tuple(map(float, values)), setting=True)
    names = list(dict.fromkeys(map(_short, values)))
    return Axis(name(path), tuple(float(names.index(_short(value))) for value in values), tuple(names), setting=True)


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
    scores = np.array([row["quality"].value for row in rows])
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
    """Each point is a line over the axes, all of which go from 0 to 1; plotly's own kind is not legible on black."""
    places = list(range(len(view.axes)))
    best = max(range(len(view.scores)), key=lambda point: view.scores[point])
    scaled = [_scaled(axis) for axis in view.axes]
    return style.figure(
        [_line(view, [axis[point] for axis in scaled], point, best) for point in range(len(view.scores))],
        view.title,
        x={"title": "", "tickvals": places, "ticktext": [axis.label for axis in view.axes], "showgrid": True,
           "side": "top", "range": [-0.35, places[-1] + 0.25], "gridcolor": style.INK},
        y={"title": "", "range": [-0.06, 1.06], "showgrid": False, "showticklabels": False},
        height=400,
        showlegend=False,
        annotations=[tick for place, axis in enumerate(view.axes) for tick in _ticks(axis, scaled[place], place)],
        hovermode="closest",
    )  # fmt: skip


def _scaled(axis: Axis) -> list[float]:
    """The values from 0 to 1, of a wide range by their logarithms; all in the middle where they are one."""
    wide = not axis.names and min(axis.values) > 0 and max(axis.values) >= WIDE * min(axis.values)
    values = [math.log(value) for value in axis.values] if wide else list(axis.values)
    low, span = min(values), max(values) - min(values)
    return [(value - low) / span if span else 0.5 for value in values]


def _ticks(axis: Axis, scaled: Sequence[float], place: int) -> list[dict[str, Any]]:
    """Every value of a setting, unless there are many; and the ends of what came of it."""
    at = dict(zip(axis.values, scaled, strict=True))
    every = axis.setting and (axis.names or len(at) <= TICKS)
    shown = at if every else {value: at[value] for value in (min(at), max(at))}
    return [
        {
            "x": place,
            "y": height,
            "text": axis.names[int(value)] if axis.names else format.trimmed(value),
            "xanchor": "right",
            "xshift": -8,
            "showarrow": False,
            "font": {"size": 11, "color": style.INK},
        }
        for value, height in shown.items()
    ]


def _line(view: Parallel, heights: Sequence[float], point: int, best: int) -> dict[str, Any]:
    low, span = min(view.scores), max(view.scores) - min(view.scores)
    colour = style.blend(*COLOURS, (view.scores[point] - low) / span if span else 1.0)
    return {
        "x": list(range(len(heights))),
        "y": heights,
        "mode": "lines+markers",
        "line": {"color": colour, "width": 3.5 if point == best else 1.5},
        "marker": {"size": 8 if point == best else 6},
        "hovertext": view.sentences[point],
        "hoverinfo": "text",
        "name": view.sentences[point],
    }
