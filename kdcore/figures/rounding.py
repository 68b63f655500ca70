"""A layer's weights before and after they are rounded."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from kdcore.figures import style
from kdcore.report import format

BINS = 81


class Rounded(NamedTuple):
    """A layer's weights. `sqnr`: decibels, None where nothing was lost. `before`, `after`: accuracy, as fractions of
    `images` images."""

    weights: ArrayLike
    rounded: ArrayLike
    sqnr: float | None
    before: float
    after: float
    images: int

    @property
    def title(self) -> str:
        noise = "no error" if self.sqnr is None else f"SQNR {format.decibels(self.sqnr)}"
        return (
            f"{len(np.unique(self.rounded))} values, {noise}; validation accuracy "
            f"{format.percent(self.before)} to {format.percent(self.after)}"
        )


def rounding(view: Rounded) -> go.Figure:
    """Both histograms over the same bins."""
    whole, after = np.ravel(view.weights), np.ravel(view.rounded)
    edges = np.linspace(min(whole.min(), after.min()), max(whole.max(), after.max()), BINS + 1)
    return style.figure(
        [_bars("Before", "alone", whole, edges), _bars("Rounded", "quantized", after, edges)],
        view.title,
        x={"title": "Weight"},
        y={"title": "Count (log)", "type": "log", "dtick": 1},
        height=156,
        barmode="overlay",
        bargap=0,
    )


def _bars(name: str, role: str, values: Any, edges: Any) -> dict[str, Any]:
    counts, _ = np.histogram(values, edges)
    return {
        "type": "bar",
        "x": (edges[:-1] + edges[1:]) / 2,
        "y": np.where(counts > 0, counts, np.nan),
        "name": name,
        "marker": {"color": style.tint(style.look(role).colour, 0.75)},
        "hovertemplate": f"{name}: %{{y}} weights near %{{x:.3g}}<extra></extra>",
    }
