"""Accuracy against a value that a sweep varies: how far it holds, and where it breaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

from kdcore.figures import style
from kdcore.report import words

Row = Mapping[str, Any]
WIDE = 8  # values that span more than this factor are shown on a log scale
TOLERABLE = 0.05  # a fall by more than this from the best of the series is "broken" in the title


class Series(NamedTuple):
    """The variants of one role over the swept values, in ascending order; accuracies as fractions."""

    role: str
    values: tuple[float, ...]
    accuracies: tuple[float, ...]
    lows: tuple[float, ...]
    highs: tuple[float, ...]


class Sweep(NamedTuple):
    """`levels` are the variants that the sweep does not touch: (name, role, accuracy)."""

    title: str
    x_title: str
    series: tuple[Series, ...]
    levels: tuple[tuple[str, str, float], ...]


def sweep(rows: Sequence[Row], path: str) -> go.Figure:
    """Accuracy against `path`. `rows` are one run's in the comparison, with their `role` and the sweep's `values`."""
    return _figure(sweep_view(rows, path))


def sweep_view(rows: Sequence[Row], path: str) -> Sweep:
    by_role: dict[str, list[Row]] = {}
    levels = []
    for row in rows:
        if row.get("accuracy") is None:
            continue
        if isinstance(row["values"].get(path), int | float):
            by_role.setdefault(row["role"], []).append(row)
        else:
            levels.append((row["variant"], row["role"], row["accuracy"]))
    series = tuple(_series(role, path, found) for role, found in by_role.items())
    x_title = path.rsplit(".", 1)[-1].replace("_", " ").capitalize()
    return Sweep(_title(series, x_title), x_title, series, tuple(levels))


def _series(role: str, path: str, rows: list[Row]) -> Series:
    rows = sorted(rows, key=lambda row: row["values"][path])
    accuracies, lows, highs = (
        tuple(row[column] for row in rows) for column in ("accuracy", "accuracy_low", "accuracy_high")
    )
    return Series(role, tuple(float(row["values"][path]) for row in rows), accuracies, lows, highs)


def _title(series: Sequence[Series], x_title: str) -> str:
    if not series:
        return "Nothing was swept"
    last, what = series[-1], x_title.lower()
    name, accuracies = style.look(last.role).label, last.accuracies
    best, worst = max(accuracies), min(accuracies)
    held = [value for value, accuracy in zip(last.values, accuracies, strict=True) if accuracy >= best - TOLERABLE]
    if len(held) == len(last.values):
        return f"{name}: accuracy holds over the whole range of {what}"
    if accuracies[0] < best - TOLERABLE <= accuracies[-1]:
        return (
            f"{name}: from {words.percent(accuracies[0])} at {what} {last.values[0]:g} "
            f"up to {words.percent(best)} at {what} {last.values[accuracies.index(best)]:g}"
        )
    return (
        f"{name}: {words.percent(best)} at best, held within {100 * TOLERABLE:g} points up to {what} "
        f"{max(held):g}, and {words.percent(worst)} at worst"
    )


def _figure(view: Sweep) -> go.Figure:
    values = [value for one in view.series for value in one.values] or [0.0, 1.0]
    wide = min(values) > 0 and max(values) / min(values) >= WIDE
    ticks = {"tickvals": sorted(set(values)), "tickformat": "~g"} if wide else {}
    return style.figure(
        [*(_level(*level, (min(values), max(values))) for level in view.levels),
         *(_line(one, view.x_title) for one in view.series)],
        view.title,
        x={"title": view.x_title + ", log scale" * wide, "type": "log" if wide else "linear", **ticks},
        y={"title": "Test images right (%)"},
        height=360,
    )  # fmt: skip


def _line(one: Series, x_title: str) -> dict[str, Any]:
    look = style.look(one.role)
    return {
        "x": one.values,
        "y": [100 * accuracy for accuracy in one.accuracies],
        "error_y": {
            "type": "data",
            "array": [100 * (high - mid) for high, mid in zip(one.highs, one.accuracies, strict=True)],
            "arrayminus": [100 * (mid - low) for low, mid in zip(one.lows, one.accuracies, strict=True)],
            "color": style.tint(look.colour, 0.5),
        },
        "mode": "lines+markers",
        "name": look.label,
        "line": {"color": look.colour},
        "marker": {"symbol": look.symbol, "size": 10},
        "hovertemplate": f"{x_title} %{{x:g}}: %{{y:.3g}} % right<extra></extra>",
    }


def _level(name: str, role: str, accuracy: float, span: tuple[float, float]) -> dict[str, Any]:
    return {
        "x": span,
        "y": [100 * accuracy] * 2,
        "mode": "lines",
        "name": name,
        "line": {"color": style.look(role).colour, "dash": "dot", "width": 1.5},
        "hovertemplate": f"{name}: %{{y:.3g}} % right<extra></extra>",
    }
