"""A model's confusion matrix on the test images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray

from kdcore.figures import style
from kdcore.report import format

NUMBERED = 12  # more classes than this, and counts do not fit into the cells
DARK = "#14171C"
NAMED = 20  # more classes than this, and their names do not fit along the axes: the most confused are shown


class Confusion(NamedTuple):
    """`counts` (S, S): images by true class (row) and predicted class; `shares`: the same of each row's images, which
    may also be given classes that are not shown, NaN without any. `classes` names the S shown, of `of` altogether."""

    title: str
    role: str
    classes: tuple[str, ...]
    counts: NDArray[np.int64]
    shares: NDArray[np.float64]
    of: int


def confusion(counts: ArrayLike, classes: Sequence[str], name: str, role: str) -> go.Figure:
    """Heat map of predicted class by true class; `counts` (K, K) by true and predicted class."""
    return _figure(confusion_view(counts, classes, name, role))


def confusion_view(counts: ArrayLike, classes: Sequence[str], name: str, role: str) -> Confusion:
    found = np.asarray(counts, dtype=np.int64)
    wrong = found * (1 - np.eye(len(found), dtype=np.int64))
    with np.errstate(invalid="ignore"):
        shares = found / found.sum(axis=1, keepdims=True)
    shown = _most(wrong)
    place = np.ix_(shown, shown)
    title = _title(wrong, found, classes, name)
    return Confusion(title, role, tuple(classes[k] for k in shown), found[place], shares[place], len(classes))


def _most(wrong: NDArray[np.int64]) -> list[int]:
    """All classes where they are few; else those with the most mistakes, made in them or for them, in usual order."""
    if len(wrong) <= NAMED:
        return list(range(len(wrong)))
    order = np.argsort(-(wrong.sum(axis=0) + wrong.sum(axis=1)), kind="stable")
    return sorted(order[:NAMED].tolist())


def _title(wrong: NDArray[np.int64], found: NDArray[np.int64], classes: Sequence[str], name: str) -> str:
    if not wrong.any():
        name = name[:1].upper() + name[1:]
        return f"{name} makes no error on the test images"
    true, said = divmod(int(wrong.argmax()), len(wrong))
    count, total = format.plural(int(wrong[true, said]), "image"), int(found[true].sum())
    return f"Most common error of {name}: {classes[true]} predicted as {classes[said]}, {count} of {total}"


def _figure(view: Confusion) -> go.Figure:
    some = f" ({len(view.classes)} most confused of {view.of})" if len(view.classes) < view.of else ""
    axis = {"type": "category", "showgrid": False, "dtick": 1}
    numbers = [_numbers(view)] if len(view.classes) <= NUMBERED else []
    return style.figure(
        [_heat(view), *numbers],
        view.title,
        x={"title": "Predicted class" + some, **axis},
        y={"title": "True class", "autorange": "reversed", **axis},
        height=430,
    )


def _heat(view: Confusion) -> dict[str, Any]:
    return {
        "type": "heatmap",
        "x": view.classes,
        "y": view.classes,
        "z": 100 * view.shares,
        "zmin": 0,
        "zmax": 100,
        "customdata": view.counts,
        "colorscale": style.sequential(style.look(view.role).colour),
        "colorbar": {"title": {"text": "%"}, "thickness": 10, "outlinewidth": 0},
        "hovertemplate": "True %{y}, predicted %{x}: %{customdata} images (%{z:.3g} %)<extra></extra>",
        "hoverongaps": False,
        "xgap": 1,
        "ygap": 1,
    }


def _numbers(view: Confusion) -> dict[str, Any]:
    """The counts in their cells, in a colour that reads on the page and in one that reads on a full cell."""
    cells = np.argwhere(view.counts > 0)
    return {
        "type": "scatter",
        "mode": "text",
        "x": [view.classes[said] for _, said in cells],
        "y": [view.classes[true] for true, _ in cells],
        "text": [str(view.counts[true, said]) for true, said in cells],
        "textfont": {"color": [DARK if view.shares[true, said] > 0.5 else style.INK for true, said in cells]},
        "hoverinfo": "skip",
        "showlegend": False,
    }
