"""Which layers mind: the accuracy that is left when one layer alone is pruned or quantized, at several strengths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from kdcore.figures import style
from kdcore.report import format

Document = Mapping[str, Any]
ROLES = {"prune": "pruned", "filters": "pruned", "quantize": "quantized"}
WHAT = {
    "prune": "Weights of the layer set to zero",
    "filters": "Filters of the layer silenced",
    "quantize": "Bits that the layer's weights are rounded to",
}


class Minds(NamedTuple):
    """`accuracy[l, s]` (a fraction) is what is left with layer l alone changed at strength s; NaN: not measured.

    `lost`: how many points that is below the network as it is, no less than 0.
    """

    title: str
    kind: str
    layers: tuple[str, ...]
    strengths: tuple[str, ...]
    accuracy: NDArray[np.float64]
    lost: NDArray[np.float64]


def minds(measured: Document) -> go.Figure:
    """A heat map of a document of `kdcore.compress.tools.sensitivity.measure`: a row a layer, a column a strength."""
    return _figure(minds_view(measured))


def minds_view(measured: Document) -> Minds:
    rows, kind = measured["rows"], measured["kind"]
    layers = list(dict.fromkeys(row["layer"] for row in rows))
    strengths = sorted({row["strength"] for row in rows}, reverse=kind == "quantize")
    accuracy = np.full((len(layers), len(strengths)), np.nan)
    for row in rows:
        accuracy[layers.index(row["layer"]), strengths.index(row["strength"])] = row["accuracy"]
    lost = np.maximum(100 * (measured["baseline"]["accuracy"] - accuracy), 0)
    told = tuple(map(strength_of(kind), strengths))
    return Minds(_title(kind, layers, told, lost), kind, tuple(layers), told, accuracy, lost)


def strength_of(kind: str) -> Any:
    """How a strength of this kind is written: "90 %", "4 bits"."""
    return lambda value: format.plural(int(value), "bit") if kind == "quantize" else f"{100 * value:g} %"


def _title(kind: str, layers: list[str], strengths: tuple[str, ...], lost: NDArray[np.float64]) -> str:
    """The layer that loses most over all strengths, and where it loses most."""
    if not layers:
        return "There is no layer that could be changed"
    most, least = (int(pick(np.nansum(lost, axis=1))) for pick in (np.argmax, np.argmin))
    at = int(np.nanargmax(lost[most]))
    if lost[most, at] < 0.05:
        return f"No layer minds, up to {strengths[-1]} of one alone"
    done = {"prune": "{} of its weights gone", "filters": "{} of its filters gone", "quantize": "at {}"}[kind]
    title = f"{layers[most]} minds most: {done.format(strengths[at])} costs {lost[most, at]:.1f} points"
    return title if len(layers) == 1 else f"{title}; {layers[least]} minds least: {lost[least, at]:.1f}"


def _figure(view: Minds) -> go.Figure:
    heat = {
        "type": "heatmap",
        "x": view.strengths,
        "y": view.layers,
        "z": view.lost,
        "zmin": 0,
        "zmax": max(1.0, float(np.nanmax(view.lost, initial=0))),
        "text": [[format.percent(value) for value in row] for row in view.accuracy],
        "texttemplate": "%{text}",
        "colorscale": style.sequential(style.ROLES[ROLES[view.kind]].colour),
        "colorbar": {"title": {"text": "Points<br>lost"}, "thickness": 10, "outlinewidth": 0},
        "hovertemplate": "%{y} at %{x}: %{text} right, %{z:.1f} points lost<extra></extra>",
        "hoverongaps": False,
        "xgap": 1,
        "ygap": 1,
    }
    names = {"type": "category", "showgrid": False, "dtick": 1}
    return style.figure(
        [heat],
        view.title,
        x={"title": WHAT[view.kind], **names},
        y={"title": "", "autorange": "reversed", **names},
        height=min(140 + 26 * max(4, len(view.layers)), 900),
    )
