"""Layer sensitivity: validation accuracy when one layer alone is compressed, at several strengths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from kdcore.compress.tools.sensitivity import FALLING
from kdcore.figures import style
from kdcore.report import format

Document = Mapping[str, Any]
ROLES = {"prune": "pruned", "filters": "pruned", "rank": "low_rank", "quantize": "quantized"}
WHAT = {
    "prune": "Share of the layer's weights set to zero",
    "filters": "Share of the layer's filters removed",
    "rank": "Share of the layer's full rank kept",
    "quantize": "Bits per weight of the layer",
}
DONE = {
    "prune": "{} of its weights removed",
    "filters": "{} of its filters removed",
    "rank": "{} of its rank kept",
    "quantize": "{}",
}


class Sensitivity(NamedTuple):
    """`accuracy[l, s]` (a fraction) is what is left with layer l alone changed at strength s; NaN: not measured.

    `lost`: how many points that is below the network as it is, no less than 0.
    """

    title: str
    kind: str
    layers: tuple[str, ...]
    strengths: tuple[str, ...]
    accuracy: NDArray[np.float64]
    lost: NDArray[np.float64]


def sensitivity(measured: Document) -> go.Figure:
    """A heat map of a document of `kdcore.compress.tools.sensitivity.measure`: a row a layer, a column a strength."""
    return _figure(sensitivity_view(measured))


def sensitivity_view(measured: Document) -> Sensitivity:
    rows, kind = measured["rows"], measured["kind"]
    layers = list(dict.fromkeys(row["layer"] for row in rows))
    strengths = sorted({row["strength"] for row in rows}, reverse=kind in FALLING)
    accuracy = np.full((len(layers), len(strengths)), np.nan)
    for row in rows:
        accuracy[layers.index(row["layer"]), strengths.index(row["strength"])] = row["accuracy"]
    lost = np.maximum(100 * (measured["baseline"]["accuracy"] - accuracy), 0)
    written = tuple(map(strength_of(kind), strengths))
    return Sensitivity(_title(kind, layers, written, lost), kind, tuple(layers), written, accuracy, lost)


def strength_of(kind: str) -> Any:
    """How a strength of this kind is written: "90 %", "4 bits"."""
    return lambda value: format.plural(int(value), "bit") if kind == "quantize" else f"{100 * value:g} %"


def _title(kind: str, layers: list[str], strengths: tuple[str, ...], lost: NDArray[np.float64]) -> str:
    """The layer that loses most over all strengths, and where it loses most."""
    if not layers:
        return "No layer can be compressed"
    most, least = (int(pick(np.nansum(lost, axis=1))) for pick in (np.argmax, np.argmin))
    at = int(np.nanargmax(lost[most]))
    if lost[most, at] < 0.05:
        return f"No layer is sensitive up to {strengths[-1]}"
    done = DONE[kind].format(strengths[at])
    title = f"Most sensitive: {layers[most]}, {lost[most, at]:.1f} points lost with {done}"
    return title if len(layers) == 1 else f"{title}; least: {layers[least]}, {lost[least, at]:.1f}"


def _figure(view: Sensitivity) -> go.Figure:
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
        "hovertemplate": "%{y} at %{x}: validation accuracy %{text}, %{z:.1f} points lost<extra></extra>",
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
