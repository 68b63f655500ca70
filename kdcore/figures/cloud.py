"""Accuracy, size and latency in one chart: as bubbles whose area is the latency, or in three dimensions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

from kdcore.figures import style
from kdcore.figures.labels import Label, Mark, labels
from kdcore.figures.points import (
    PLAIN,
    Point,
    Row,
    Terms,
    headline,
    name_of,
    of_latency,
    of_size,
    once_in_the_legend,
    side_by_side,
    smaller,
)
from kdcore.report import format, quality

WIDE = 100  # costs that span more than this factor have a tick for each power of ten alone
LARGEST, SMALLEST = 46, 7  # pixels across
ACROSS = 760  # pixels that the bubbles fill, about: a chart alone is twice as wide as one of two
LABELLED = 12  # more points than this, and their names are left to the hover


class Spot(NamedTuple):
    """A variant with both of its costs: `size.x` in kB, `time.x` in milliseconds per image."""

    size: Point
    time: Point

    @property
    def sentence(self) -> str:
        return f"{self.size.sentence}, {self.time.sentence.rsplit(', ', 1)[-1]}"


class Cloud(NamedTuple):
    """`best`: run and name of each variant than which none is better in all three."""

    title: str
    batch: int
    spots: tuple[Spot, ...]
    best: tuple[tuple[str, str], ...]


def bubbles(rows: Sequence[Row], batch: int, terms: Terms = PLAIN) -> go.Figure:
    """Accuracy against bytes; the area of a bubble is the latency per image at batch size 1 or 64.

    `rows` are of one timing session; those that were not timed are left out.
    """
    return _flat(cloud_view(rows, batch, terms))


def space(rows: Sequence[Row], batch: int, terms: Terms = PLAIN) -> go.Figure:
    """The same in three dimensions, which the mouse turns."""
    return _deep(cloud_view(rows, batch, terms))


def cloud_view(rows: Sequence[Row], batch: int, terms: Terms = PLAIN) -> Cloud:
    """Raises ValueError for rows of several sessions: their times cannot be compared."""
    times = {point.key: point for point in of_latency(rows, batch, terms)}
    spots = [Spot(point, times[point.key]) for point in of_size(rows, terms) if point.key in times]
    best = [spot.size for spot in sorted(spots, key=_cost) if not any(_better(other, spot) for other in spots)]

    def gained(point: Point, reference: str) -> str:
        return f"{smaller(point, reference)}, {_speed(times[point.key], batch)}"

    return Cloud(headline(rows, best, gained, terms), batch, tuple(spots), tuple(point.key for point in best))


def _speed(point: Point, batch: int) -> str:
    if point.gain is None:
        return "was not timed together with it"
    return f"{f'{format.times(point.gain)} as fast' if point.differs else 'not measurably faster'} (batch {batch})"


def _cost(spot: Spot) -> float:
    return spot.size.x * spot.time.x


def _better(one: Spot, other: Spot) -> bool:
    """Whether `one` is no worse in anything, and better in something."""
    mine, theirs = ((-spot.size.quality.merit, spot.size.x, spot.time.x) for spot in (one, other))
    return mine != theirs and all(left <= right for left, right in zip(mine, theirs, strict=True))


def _groups(view: Cloud) -> dict[tuple[str, bool], list[Spot]]:
    found: dict[tuple[str, bool], list[Spot]] = {}
    for spot in sorted(view.spots, key=lambda spot: -spot.time.x):  # small bubbles lie on large ones
        found.setdefault((spot.size.role, spot.size.fits), []).append(spot)
    return found


def _flat(view: Cloud) -> go.Figure:
    slowest = max((spot.time.x for spot in view.spots), default=1.0)
    drawn = side_by_side([spot.size for spot in view.spots])
    named = _names(view, slowest, drawn) if len(view.spots) <= LABELLED else {}
    return style.figure(
        once_in_the_legend([_bubbles(spots, slowest, drawn) for spots in _groups(view).values()]),
        view.title,
        x={"title": f"File size (kB, log scale)<br>bubble area: latency per example, batch size {view.batch}",
           "type": "log", "tickformat": ",~r", "dtick": "D2"},
        y={"title": _measured(view), "autorangeoptions": {"maxallowed": 103}},
        height=460,
        legend=style.LEGEND | {"itemsizing": "constant"},
        annotations=[
            name_of(spot.size, drawn[spot.size], label, _radius(spot, slowest))
            for spot, label in named.items()
            if label.text
        ],
    )  # fmt: skip


def _measured(view: Cloud) -> str:
    return quality.axis(spot.size.quality.measure for spot in view.spots)


def _radius(spot: Spot, slowest: float) -> float:
    return max(SMALLEST, LARGEST * math.sqrt(spot.time.x / slowest)) / 2


def _names(view: Cloud, slowest: float, drawn: Mapping[Point, float]) -> dict[Spot, Label]:
    marks = [
        Mark(spot.size.name, math.log(drawn[spot.size]), y, y, y, _radius(spot, slowest))
        for spot in view.spots
        for y in [spot.size.y]
    ]
    return dict(zip(view.spots, labels(marks, wide=ACROSS), strict=True))


def _look(spots: Sequence[Spot]) -> tuple[style.Look, float]:
    """Colour and symbol of one role, and how opaque it is: grey where it is outside the limits."""
    look, inside = style.look(spots[0].size.role), spots[0].size.fits
    if not inside:
        look = look._replace(label="Outside the limits", colour=style.INK)
    return look, 0.75 if inside else 0.25


def _bubbles(spots: Sequence[Spot], slowest: float, drawn: Mapping[Point, float]) -> dict[str, Any]:
    look, opacity = _look(spots)
    return {
        "x": [drawn[spot.size] for spot in spots],
        "y": [spot.size.y for spot in spots],
        "mode": "markers",
        "marker": {
            "color": style.tint(look.colour, opacity),
            "size": [spot.time.x for spot in spots],
            "sizemode": "area",
            "sizeref": 2 * slowest / LARGEST**2,
            "sizemin": SMALLEST / 2,
            "line": {"color": look.colour, "width": 1.5},
        },
        "unselected": {"marker": {"opacity": 1}},
        "name": look.label,
        "customdata": [[spot.size.run, spot.size.name] for spot in spots],
        "hovertext": [spot.sentence for spot in spots],
        "hoverinfo": "text",
        "cliponaxis": False,
    }


def _deep(view: Cloud) -> go.Figure:
    solids = once_in_the_legend([_solid(spots, view.best) for spots in _groups(view).values()])
    scores = [spot.size.y for spot in view.spots] or [0.0]
    floor = min(scores) - 0.1 * (max(scores) - min(scores))
    stalks = [_stalk(spot, floor) for spot in view.spots]
    figure = style.figure([*solids, *stalks], view.title, x={"title": ""}, y={"title": ""}, height=520)
    axis = {"color": style.INK, "gridcolor": style.FAINT, "showbackground": False, "zeroline": False}
    kb, ms = ([cost for spot in view.spots for cost in (spot.size.x, spot.time.x)][start::2] for start in (0, 1))
    figure.layout.scene = {
        "xaxis": axis | _ticks(kb) | {"title": {"text": "File size (kB)"}},
        "yaxis": axis | _ticks(ms) | {"title": {"text": f"ms per example, batch {view.batch}"}},
        "zaxis": axis | {"title": {"text": _measured(view)}},
        "camera": {"eye": {"x": 1.45, "y": -1.45, "z": 0.5}, "center": {"x": 0, "y": 0, "z": -0.15}},
        "aspectmode": "manual",
        "aspectratio": {"x": 1.3, "y": 1.3, "z": 0.9},
    }
    return figure


def _ticks(costs: Sequence[float]) -> dict[str, Any]:
    """A log axis with round numbers."""
    wide = max(costs, default=1) >= WIDE * min(costs, default=1)
    return {"type": "log", "tickformat": ",~r", "dtick": 1 if wide else "D2"}


def _solid(spots: Sequence[Spot], best: Sequence[tuple[str, str]]) -> dict[str, Any]:
    look, opacity = _look(spots)
    symbol = {"star": "diamond", "triangle-up": "cross", "hexagon": "x"}.get(look.symbol, look.symbol)
    known = symbol in ("circle", "circle-open", "cross", "diamond", "diamond-open", "square", "square-open", "x")
    return {
        "type": "scatter3d",
        "x": [spot.size.x for spot in spots],
        "y": [spot.time.x for spot in spots],
        "z": [spot.size.y for spot in spots],
        "mode": "markers+text",
        "text": [spot.size.name if spot.size.key in best else "" for spot in spots],
        "textfont": {"size": 11, "color": style.INK},
        "textposition": "top center",
        "marker": {"color": look.colour, "symbol": symbol if known else "circle-open", "size": 7, "opacity": opacity},
        "name": look.label,
        "hovertext": [spot.sentence for spot in spots],
        "hoverinfo": "text",
    }


def _stalk(spot: Spot, floor: float) -> dict[str, Any]:
    """From a mark down to the floor, so that its costs can be read."""
    return {
        "type": "scatter3d",
        "x": [spot.size.x] * 2,
        "y": [spot.time.x] * 2,
        "z": [spot.size.y, floor],
        "mode": "lines",
        "line": {"color": style.look(spot.size.role).colour, "width": 2},
        "hoverinfo": "skip",
        "showlegend": False,
    }
