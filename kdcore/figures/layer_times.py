"""Where the time goes: milliseconds of each layer of several variants, and the layers' share of the MACs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

from kdcore.figures import style
from kdcore.report import format

REST = "all else"
HATCHES = ("", "/", "x", "+")


class Timed(NamedTuple):
    """A variant: `ms` a batch by layer, under REST what has no weights, and the layers' MACs an image."""

    name: str
    role: str
    ms: Mapping[str, float]
    macs: Mapping[str, int]


class Times(NamedTuple):
    title: str
    layers: tuple[str, ...]
    shares: tuple[float, ...]
    variants: tuple[Timed, ...]
    batch: int


def layer_times(found: Sequence[Timed], batch: int = 64) -> go.Figure:
    """Bars of each layer's time, a group a layer; below each its share of the first variant's MACs."""
    return _figure(layer_times_view(found, batch))


def layer_times_view(found: Sequence[Timed], batch: int = 64) -> Times:
    if not found:
        return Times("Nothing was timed", (), (), (), batch)
    first = found[0]
    layers = tuple(dict.fromkeys(name for one in found for name in one.ms))
    whole = sum(first.macs.values()) or 1
    shares = tuple(first.macs.get(name, 0) / whole for name in layers)
    slowest = max(first.ms, key=lambda name: first.ms[name])
    share = first.ms[slowest] / sum(first.ms.values())
    title = (
        f"{slowest} takes {format.percent(share)} of the {first.name}'s time and has "
        f"{format.percent(first.macs.get(slowest, 0) / whole)} of its MACs"
    )
    return Times(title, layers, shares, tuple(found), batch)


def _figure(view: Times) -> go.Figure:
    ticks = [
        f"{name}<br>{format.percent(share)} of MACs" if share else name
        for name, share in zip(view.layers, view.shares, strict=True)
    ]
    return style.figure(
        [_bars(one, view.layers, ticks, _twins(view.variants[:at], one)) for at, one in enumerate(view.variants)],
        view.title,
        x={"title": "Layer", "type": "category", "tickangle": 0},
        y={"title": f"Time of a batch of {view.batch} (ms)"},
        height=330,
        barmode="group",
    )


def _twins(before: Sequence[Timed], one: Timed) -> int:
    """How many of those before have the same colour."""
    return sum(other.role == one.role for other in before)


def _bars(one: Timed, layers: Sequence[str], ticks: Sequence[str], twins: int) -> dict[str, Any]:
    return {
        "type": "bar",
        "x": ticks,
        "y": [one.ms.get(name) for name in layers],
        "name": one.name,
        "marker": {"color": style.look(one.role).colour, "pattern": {"shape": HATCHES[twins % len(HATCHES)]}},
        "hovertemplate": f"{one.name}: %{{y:.3g}} ms<extra></extra>",
    }
