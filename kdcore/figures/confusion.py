"""A model's confusion matrix on the test images, and its difference from another model's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray

from kdcore.figures import style
from kdcore.report import format
from kdcore.report.confusions import Shift

NUMBERED = 12  # more classes than this, and counts do not fit into the cells
DARK = "#14171C"
LEVEL = 0.05
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


class Difference(NamedTuple):
    """`more` (S, S): images by true class (row) and predicted class in one matrix less those in another, `counts` the
    two numbers themselves. `classes` names the S shown, of `of` altogether."""

    title: str
    names: tuple[str, str]
    classes: tuple[str, ...]
    more: NDArray[np.int64]
    counts: NDArray[np.int64]
    of: int


def confusion(
    counts: ArrayLike, classes: Sequence[str], name: str, role: str, beside: ArrayLike | None = None
) -> go.Figure:
    """Heat map of predicted class by true class; `counts` (K, K) by true and predicted class.

    `beside`: another matrix whose errors count too where not all classes fit, so that both show the same.
    """
    return _figure(confusion_view(counts, classes, name, role, beside))


def confusion_view(
    counts: ArrayLike, classes: Sequence[str], name: str, role: str, beside: ArrayLike | None = None
) -> Confusion:
    found = np.asarray(counts, dtype=np.int64)
    wrong = _errors(found)
    with np.errstate(invalid="ignore"):
        shares = found / found.sum(axis=1, keepdims=True)
    shown = _most(wrong if beside is None else wrong + _errors(np.asarray(beside, dtype=np.int64)))
    place = np.ix_(shown, shown)
    title = _title(wrong, found, classes, name)
    return Confusion(title, role, tuple(classes[k] for k in shown), found[place], shares[place], len(classes))


def difference(
    counts: ArrayLike, others: ArrayLike, shifts: Sequence[Shift], classes: Sequence[str], names: tuple[str, str]
) -> go.Figure:
    """Heat map of the images that one confusion matrix has more than another, both (K, K), of the models `names`.

    `shifts`: the errors in which the two differ, image by image.
    """
    return _diverging(difference_view(counts, others, shifts, classes, names))


def difference_view(
    counts: ArrayLike, others: ArrayLike, shifts: Sequence[Shift], classes: Sequence[str], names: tuple[str, str]
) -> Difference:
    one, other = (np.asarray(given, dtype=np.int64) for given in (counts, others))
    shown = _most(_errors(one) + _errors(other))
    place = np.ix_(shown, shown)
    both = np.stack([one[place], other[place]], axis=-1)
    shown_names = tuple(classes[k] for k in shown)
    return Difference(_change(shifts, classes, names), names, shown_names, (one - other)[place], both, len(classes))


def _errors(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return counts * (1 - np.eye(len(counts), dtype=np.int64))


def _change(shifts: Sequence[Shift], classes: Sequence[str], names: tuple[str, str]) -> str:
    """The largest change of an error that is significant, or that none is."""
    name = names[0][:1].upper() + names[0][1:]
    if not shifts:
        return f"{name} makes the same errors as {names[1]}"
    telling = [one for one in shifts if one.p <= LEVEL]
    most = max(telling or shifts, key=lambda one: abs(one.more - one.fewer))
    change = most.more - most.fewer
    if not telling:
        return f"No error of {names[0]} is significantly more or less common than that of {names[1]}"
    images, differing = format.plural(abs(change), "example"), format.plural(len(shifts), "error")
    return (
        f"{name} predicts {classes[most.said]} for {images} of {classes[most.true]} "
        f"{'more' if change > 0 else 'fewer'} than {names[1]} ({format.p_value(most.p)} among {differing} that differ)"
    )


def _most(wrong: NDArray[np.int64]) -> list[int]:
    """All classes where they are few; else those with the most mistakes, made in them or for them, in usual order."""
    if len(wrong) <= NAMED:
        return list(range(len(wrong)))
    order = np.argsort(-(wrong.sum(axis=0) + wrong.sum(axis=1)), kind="stable")
    return sorted(order[:NAMED].tolist())


def _title(wrong: NDArray[np.int64], found: NDArray[np.int64], classes: Sequence[str], name: str) -> str:
    if not wrong.any():
        name = name[:1].upper() + name[1:]
        return f"{name} makes no error on the test examples"
    true, said = divmod(int(wrong.argmax()), len(wrong))
    count, total = format.plural(int(wrong[true, said]), "example"), int(found[true].sum())
    return f"Most common error of {name}: {classes[true]} predicted as {classes[said]}, {count} of {total}"


def _figure(view: Confusion) -> go.Figure:
    numbers = [_numbers(view)] if len(view.classes) <= NUMBERED else []
    return _matrix([_heat(view), *numbers], view)


def _matrix(traces: Sequence[dict[str, Any]], view: Confusion | Difference) -> go.Figure:
    some = f" ({len(view.classes)} most confused of {view.of})" if len(view.classes) < view.of else ""
    axis = {"type": "category", "showgrid": False, "dtick": 1}
    return style.figure(
        traces,
        view.title,
        x={"title": "Predicted class" + some, **axis},
        y={"title": "True class", "autorange": "reversed", **axis},
        height=430,
        showlegend=False,
    )


def _diverging(view: Difference) -> go.Figure:
    most = int(np.abs(view.more).max(initial=0)) or 1
    heat = {
        "type": "heatmap",
        "x": view.classes,
        "y": view.classes,
        "z": view.more,
        "zmin": -most,
        "zmax": most,
        "customdata": view.counts,
        "colorscale": style.DIVERGING,
        "colorbar": {"title": {"text": "examples"}, "thickness": 10, "outlinewidth": 0, "dtick": -(-most // 2)},
        "hovertemplate": (
            "True %{y}, predicted %{x}: %{z:+d} examples<br>"
            f"{view.names[0]} %{{customdata[0]}}, {view.names[1]} %{{customdata[1]}}<extra></extra>"
        ),
        "xgap": 1,
        "ygap": 1,
    }
    numbers = _signed(view, style.STRONG * most) if len(view.classes) <= NUMBERED else []
    return _matrix([heat, *numbers], view)


def _signed(view: Difference, strong: float) -> list[dict[str, Any]]:
    """The cells' numbers: white on strong colours, else as the page writes."""
    cells = np.argwhere(view.more != 0)
    parts = [[cell for cell in cells if (abs(view.more[tuple(cell)]) > strong) == white] for white in (False, True)]
    return [
        {
            "type": "scatter",
            "mode": "text",
            "x": [view.classes[said] for _, said in part],
            "y": [view.classes[true] for true, _ in part],
            "text": [f"{view.more[true, said]:+d}".replace("-", "\N{MINUS SIGN}") for true, said in part],
            "textfont": font,
            "hoverinfo": "skip",
        }
        for part, font in zip(parts, ({"size": 12}, {"size": 12, "color": "#FFFFFF"}), strict=True)
    ]


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
        "hovertemplate": "True %{y}, predicted %{x}: %{customdata} examples (%{z:.3g} %)<extra></extra>",
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
