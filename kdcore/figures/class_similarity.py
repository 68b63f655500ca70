"""Which classes a model confuses, read from its soft targets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray

from kdcore.figures import style
from kdcore.figures.softening import likeness
from kdcore.report import format

NAMED = 20  # more classes than this, and their names do not fit along the axes: the most alike are shown


class Alike(NamedTuple):
    """`shares` is (S, S): what the images of class i (row) give to class j, as fractions; NaN on the diagonal.

    `classes` names the S classes that are shown, of `of` altogether.
    """

    title: str
    classes: tuple[str, ...]
    shares: NDArray[np.float64]
    of: int


def alike(logits: ArrayLike, labels: ArrayLike, classes: Sequence[str], temperature: float) -> go.Figure:
    """Heat map of the mean soft target by class, without the class itself. `logits` (N, K), `labels` (N,) or (N, K)."""
    return _figure(alike_view(logits, labels, classes, temperature))


def alike_view(logits: ArrayLike, labels: ArrayLike, classes: Sequence[str], temperature: float) -> Alike:
    shares = likeness(logits, labels, temperature)
    np.fill_diagonal(shares, np.nan)
    several = np.ndim(labels) == 2
    title, shown = _title(shares, classes, temperature, several), _most_alike(shares)
    return Alike(title, tuple(classes[index] for index in shown), shares[np.ix_(shown, shown)], len(classes))


def _most_alike(shares: NDArray[np.float64]) -> list[int]:
    """All classes where they are few; else those of the likest pairs, in their usual order."""
    count = len(shares)
    if count <= NAMED:
        return list(range(count))
    kept: set[int] = set()
    for pair in np.argsort(-np.nan_to_num(shares, nan=-1.0), axis=None, kind="stable"):
        both = {int(pair) // count, int(pair) % count}
        if len(kept | both) > NAMED:
            break
        kept |= both
    return sorted(kept)


def _title(shares: NDArray[np.float64], classes: Sequence[str], temperature: float, several: bool) -> str:
    if not np.isfinite(shares).any():
        return "No examples to compare"
    image, other = divmod(int(np.nanargmax(shares)), shares.shape[1])
    share = format.percent(shares[image, other])
    if several:
        without = f"examples labelled {classes[image]} but not {classes[other]}"
        return f"At T = {temperature:g}, {without}: mean probability of {classes[other]} {share}"
    return f"Most confused at T = {temperature:g}: {classes[image]} with {classes[other]}, mean probability {share}"


def _figure(view: Alike) -> go.Figure:
    some = f" ({len(view.classes)} most confused of {view.of} classes)" if len(view.classes) < view.of else ""
    heat = {
        "type": "heatmap",
        "x": view.classes,
        "y": view.classes,
        "z": 100 * view.shares,
        "zmin": 0,
        "colorscale": style.sequential(style.ROLES["teacher"].colour),
        "colorbar": {"title": {"text": "Mean<br>probability<br>(%)"}, "thickness": 10, "outlinewidth": 0},
        "hovertemplate": "Examples of %{y}: mean probability of %{x} %{z:.3g} %<extra></extra>",
        "hoverongaps": False,
        "xgap": 1,
        "ygap": 1,
    }
    classes = {"type": "category", "showgrid": False, "dtick": 1}
    return style.figure(
        [heat],
        view.title,
        x={"title": "Assigned class" + some, **classes},
        y={"title": "Examples of", "autorange": "reversed", **classes},
    )
