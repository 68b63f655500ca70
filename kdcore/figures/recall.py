"""A class that the student never saw: how often it is recognised, against the temperature of the soft targets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go

from kdcore.figures import style
from kdcore.report import format


class RecallPoint(NamedTuple):
    """Recall of the hidden class by one student (one seed) that was distilled at a temperature; fractions."""

    temperature: float
    recall: float
    corrected: float


class Recall(NamedTuple):
    """Means over the seeds at each temperature in `%`, and the seeds themselves."""

    title: str
    temperatures: tuple[float, ...]
    raw: tuple[float, ...]
    corrected: tuple[float, ...]
    seeds: tuple[RecallPoint, ...]


def recall(seen: Sequence[RecallPoint], hidden: str) -> go.Figure:
    """Recall of the hidden class against T, uncorrected and bias-corrected."""
    return _figure(recall_view(seen, hidden))


def recall_view(seen: Sequence[RecallPoint], hidden: str) -> Recall:
    temperatures = tuple(sorted({one.temperature for one in seen}))
    raw, corrected = (
        tuple(100 * float(np.mean([getattr(one, which) for one in seen if one.temperature == t])) for t in temperatures)
        for which in ("recall", "corrected")
    )
    if not temperatures:
        return Recall("No student with a hidden class yet", (), (), (), ())
    title = (
        f"Never shown a {hidden}, the student recognises {format.percent(raw[0] / 100)} of them at "
        f"T = {temperatures[0]:g} and {format.percent(raw[-1] / 100)} at T = {temperatures[-1]:g}"
    )
    return Recall(title, temperatures, raw, corrected, tuple(seen))


def _figure(view: Recall) -> go.Figure:
    raw = _lines(view, view.raw, "recall", "Uncorrected", "circle", "solid")
    corrected = _lines(view, view.corrected, "corrected", "Bias-corrected", "circle-open", "dash")
    ticks = {"tickvals": view.temperatures, "ticktext": [f"{t:g}" for t in view.temperatures]}
    return style.figure(
        [*raw, *corrected],
        view.title,
        x={"title": "Temperature (T, log scale)", "type": "log", **ticks},
        y={"title": "Recall of the hidden class (%)", "range": [-2, 102]},
        height=340,
    )


def _lines(
    view: Recall, means: Sequence[float], which: str, name: str, symbol: str, dash: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The means as a line, and the seeds as small marks."""
    colour = style.ROLES["distilled"].colour
    line = {
        "x": view.temperatures,
        "y": means,
        "mode": "lines+markers",
        "name": name,
        "legendgroup": which,
        "line": {"color": colour, "dash": dash},
        "marker": {"symbol": symbol, "size": 10},
        "hovertemplate": f"{name}: %{{y:.3g}} % at T = %{{x:g}}<extra></extra>",
    }
    seeds = {
        "x": [one.temperature for one in view.seeds],
        "y": [100 * getattr(one, which) for one in view.seeds],
        "mode": "markers",
        "marker": {"color": style.tint(colour, 0.4), "symbol": symbol, "size": 5},
        "showlegend": False,
        "legendgroup": which,
        "hoverinfo": "skip",
    }
    return line, seeds
