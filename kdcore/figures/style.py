"""One visual language: colour and symbol belong to what a variant is (Okabe-Ito), in light and dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go


class Look(NamedTuple):
    """How a role is drawn: its plain name, a hex colour and a plotly symbol."""

    label: str
    colour: str
    symbol: str


ROLES: dict[str, Look] = {
    "teacher": Look("Teacher", "#0072B2", "star"),
    "alone": Look("Student alone", "#8A8A8A", "circle-open"),
    "hard_labels": Look("Student on hard labels", "#8A8A8A", "circle-x-open"),
    "smoothed": Look("Student on smoothed labels", "#8A8A8A", "circle-cross-open"),
    "distilled": Look("Student distilled", "#E69F00", "circle"),
    "pruned": Look("Pruned", "#009E73", "square"),
    "quantized": Look("Quantized", "#D55E00", "diamond"),
    "low_rank": Look("Low rank", "#56B4E9", "triangle-up"),
    "shared": Look("Shared weights", "#CC79A7", "hexagon"),
}
UNKNOWN = Look("Other", "#8A8A8A", "cross")

INK = "#8A8A8A"  # lines and words that must read on a white and on a dark page
FAINT = "rgba(138, 138, 138, 0.25)"
CLEAR = "rgba(0, 0, 0, 0)"
LEGEND = {"orientation": "h", "x": 0, "y": 0, "xanchor": "left", "yanchor": "bottom", "yref": "container"}
LEGEND_ABOVE = {"orientation": "h", "x": 0, "y": 1, "xanchor": "left", "yanchor": "bottom"}
LOW = 240  # pixels: a lower chart has no room for a strip of buttons and a line of legend
TOOLBAR = 32  # pixels above the plot, where plotly's buttons cover nothing


def look(role: str) -> Look:
    return ROLES.get(role, UNKNOWN)


def dash(role: str) -> str:
    """Lines have no symbols: the controls, which share the grey of the student alone, are dashed and dotted."""
    return {"hard_labels": "dash", "smoothed": "dot"}.get(role, "solid")


DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")


def dashes(roles: Sequence[str]) -> list[str]:
    """A dash for each line of a chart: its role's own, or where an earlier line has that in its colour, a free one."""
    found: list[tuple[str, str]] = []
    for role in roles:
        colour, usual = look(role).colour, dash(role)
        free = [one for one in (usual, *DASHES) if (colour, one) not in found]
        found.append((colour, free[0] if free else usual))
    return [one for _, one in found]


def hatching(role: str) -> str:
    """Bars have no symbols either: those of the controls are hatched."""
    return {"hard_labels": "x", "smoothed": "+"}.get(role, "")


def tint(colour: str, opacity: float) -> str:
    """A hex colour with an opacity of 0 to 1, as plotly takes it."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {opacity:g})"


def blend(one: str, other: str, share: float) -> str:
    """Between two hex colours, 0 to 1 of the way."""
    pairs = [(int(one[i : i + 2], 16), int(other[i : i + 2], 16)) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(left + share * (right - left)):02X}" for left, right in pairs)


def shades(colour: str, count: int) -> list[str]:
    """So many shades of a hex colour, from light to dark, itself in the middle; all read on white and on black."""
    places = [2 * step / (count - 1) - 1 if count > 1 else 0.0 for step in range(count)]
    return [
        blend(colour, "#000000", 0.4 * place) if place > 0 else blend(colour, "#FFFFFF", -0.3 * place)
        for place in places
    ]


def on(colour: str) -> str:
    """Black or white, whichever reads better on a hex colour."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#000000" if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "#FFFFFF"


def sequential(colour: str) -> list[list[Any]]:
    """A colour scale of one hue, from the background (whatever it is) up."""
    return [[0.0, tint(colour, 0.0)], [0.25, tint(colour, 0.3)], [0.6, tint(colour, 0.7)], [1.0, tint(colour, 1.0)]]


LOSS, GAIN = ROLES["quantized"].colour, ROLES["teacher"].colour
DIVERGING = [[0.0, LOSS], [0.5, tint(LOSS, 0)], [0.5, tint(GAIN, 0)], [1.0, GAIN]]  # zero in the background's colour
STRONG = 0.6  # share of such a scale from which numbers are written in white


def figure(
    traces: Sequence[Mapping[str, Any]],
    title: str,
    *,
    x: Mapping[str, Any],
    y: Mapping[str, Any],
    height: int = 380,
    **layout: Any,
) -> go.Figure:
    """A figure of these traces in the house style. `x`, `y`: the axes, whose `title` is a text with the unit.

    Backgrounds are clear and fonts unset, so that the page's theme shows. Everything is handed to plotly at
    once: it checks a whole figure in a quarter of the time that `update_layout` and its kin take.
    """
    house = {
        "title": {"text": title, "automargin": True, "yref": "container", "y": 1, "yanchor": "top", "pad": {"t": 8}},
        "height": height,
        "margin": {"l": 8, "r": 8, "t": TOOLBAR if height >= LOW else 8, "b": 8},
        "paper_bgcolor": CLEAR,
        "plot_bgcolor": CLEAR,
        "hoverlabel": {"align": "left"},
        "modebar": {"bgcolor": CLEAR, "color": INK},
        "legend": LEGEND if height >= LOW else LEGEND_ABOVE,
        "xaxis": axis(x),
        "yaxis": axis(y),
    }
    return go.Figure(data=list(traces), layout=house | layout)


def probabilities(bars: Sequence[Mapping[str, Any]], title: str, *, height: int) -> go.Figure:
    """Bars of probabilities in per cent, 0 to 100, side by side for each class."""
    return figure(
        bars,
        title,
        x={"title": "Class", "type": "category"},
        y={"title": "Probability (%)", "range": [0, 101]},
        height=height,
        barmode="group",
        bargap=0.25,
        bargroupgap=0.05,
    )


def axis(asked: Mapping[str, Any]) -> dict[str, Any]:
    """An axis in the house style."""
    return {"gridcolor": FAINT, "zeroline": False, "automargin": True, **asked, "title": {"text": asked["title"]}}
