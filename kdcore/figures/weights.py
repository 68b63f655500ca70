"""The weights of one layer as they are in the deployed file: their histogram, one outline a variant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from kdcore.figures import style
from kdcore.figures.layers import Model
from kdcore.report import format


class Outline(NamedTuple):
    """Shares of a layer's weights (%) in bins around `centres`."""

    name: str
    role: str
    centres: NDArray[np.float64]
    shares: NDArray[np.float64]


class Histogram(NamedTuple):
    title: str
    outlines: tuple[Outline, ...]


def histogram(models: Sequence[Model], layer: str) -> go.Figure:
    """The histogram of the layer of this name in every model that has one."""
    return _figure(histogram_view(models, layer))


def histogram_view(models: Sequence[Model], layer: str) -> Histogram:
    outlines, parts = [], []
    for model in models:
        one = next((candidate for candidate in model.layers if candidate["name"] == layer), None)
        if one is None:
            continue
        edges, counts = (np.asarray(one["histogram"][part], dtype=np.float64) for part in ("edges", "counts"))
        shares = 100 * counts / max(counts.sum(), 1.0)
        outlines.append(Outline(model.name, model.role, (edges[:-1] + edges[1:]) / 2, shares))
        parts.append(f"{one['bits']} bits and {format.percent(one['sparsity'])} zeros in {model.name}")
    title = f"{layer}: {'; '.join(parts)}" if parts else f"No variant has a layer {layer}"
    return Histogram(title, tuple(outlines))


def _figure(view: Histogram) -> go.Figure:
    first = view.outlines[0].role if view.outlines else ""
    return style.figure(
        [_line(one, twin=index > 0 and one.role == first) for index, one in enumerate(view.outlines)],
        view.title,
        x={"title": "Weight"},
        y={"title": "Weights in the bin (%)", "rangemode": "tozero"},
        height=320,
    )


def _line(one: Outline, *, twin: bool) -> dict[str, Any]:
    colour = style.look(one.role).colour
    return {
        "x": one.centres,
        "y": one.shares,
        "mode": "lines",
        "name": one.name,
        "fill": "tozeroy",
        "fillcolor": style.tint(colour, 0.2),
        "line": {"color": colour, "shape": "hvh", "width": 1.5, "dash": "dot" if twin else "solid"},
        "hovertemplate": f"{one.name}: %{{y:.3g}} % near %{{x:.3g}}<extra></extra>",
    }
