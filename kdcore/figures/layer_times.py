"""Where the time goes: milliseconds of each layer of several variants, beside its MACs, bytes and noise."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

from kdcore.figures import style
from kdcore.report import format

REST = "all else"
HATCHES = ("", "/", "x", "+")
GAP = 0.03  # between panels, as a share of the width


class Timed(NamedTuple):
    """A variant: `ms` a batch by layer, under REST what has no weights, and the `layers` of its report."""

    name: str
    role: str
    ms: Mapping[str, float]
    layers: Sequence[Mapping[str, Any]]

    @property
    def macs(self) -> dict[str, int]:
        return {layer["name"]: layer["macs"] for layer in self.layers}


class Times(NamedTuple):
    title: str
    layers: tuple[str, ...]
    shares: tuple[float, ...]
    variants: tuple[Timed, ...]
    batch: int


class Panel(NamedTuple):
    """One quantity: `values[v][l]` and what hovering says, of variant v and layer l; None where there is none.
    `ticks`: how d3 writes them."""

    title: str
    ticks: str
    values: tuple[tuple[float | None, ...], ...]
    hovers: tuple[tuple[str, ...], ...]


class Profile(NamedTuple):
    """Panels side by side over the same layers."""

    title: str
    layers: tuple[str, ...]
    models: tuple[tuple[str, str], ...]
    panels: tuple[Panel, ...]


def timed(name: str, role: str, kernels: Iterable[tuple[str | None, float]], layers: Any) -> Timed:
    """A variant whose kernels, each of a layer or of none, took so many milliseconds a batch."""
    ms: dict[str, float] = {}
    for layer, taken in kernels:
        ms[layer or REST] = ms.get(layer or REST, 0.0) + taken
    return Timed(name, role, ms, layers)


def layer_times(found: Sequence[Timed], batch: int = 64) -> go.Figure:
    """Bars of each layer's time, a group a layer; below each its share of the first variant's MACs."""
    return _figure(layer_times_view(found, batch))


def layer_times_view(found: Sequence[Timed], batch: int = 64) -> Times:
    if not found:
        return Times("Nothing was timed", (), (), (), batch)
    layers, macs = _names(found), found[0].macs
    whole = sum(macs.values()) or 1
    shares = tuple(macs.get(name, 0) / whole for name in layers)
    return Times(_slowest(found[0]), layers, shares, tuple(found), batch)


def _names(found: Sequence[Timed]) -> tuple[str, ...]:
    """The timed layers in the order of the file, what has no weights last."""
    names = dict.fromkeys(layer["name"] for one in found for layer in one.layers if layer["name"] in one.ms)
    return (*names, REST) if any(REST in one.ms for one in found) else tuple(names)


def _slowest(one: Timed) -> str:
    slowest = max(one.ms, key=lambda name: one.ms[name])
    of_time = format.percent(one.ms[slowest] / (sum(one.ms.values()) or 1))
    if slowest == REST:
        return f"What has no weights takes {of_time} of the time of {one.name}, without any MACs"
    of_macs = format.percent(one.macs.get(slowest, 0) / (sum(one.macs.values()) or 1))
    return f"{slowest} takes {of_time} of the time of {one.name} and has {of_macs} of its MACs"


def profile(found: Sequence[Timed]) -> go.Figure:
    """Each layer's time, MACs, bytes of its weights and output SQNR, one panel each, one colour a variant."""
    return _panels(profile_view(found))


def profile_view(found: Sequence[Timed]) -> Profile:
    names = _names(found)
    panels = [
        _panel("Time<br>(ms)", "~g", found, names, _time),
        _panel("MACs", "~s", found, names, _macs),
        _panel("Weights<br>(bytes)", "~s", found, names, _bytes),
        _panel("SQNR<br>(dB)", "~g", found, names, _noise),
    ]
    kept = tuple(panel for panel in panels if any(value is not None for row in panel.values for value in row))
    title = _slowest(found[0]) if found and found[0].ms else "Nothing was timed"
    return Profile(title, names, tuple((one.name, one.role) for one in found), kept)


Cell = tuple[float | None, str]


def _panel(title: str, ticks: str, found: Sequence[Timed], names: Sequence[str], cell: Any) -> Panel:
    cells = [[cell(one, name) for name in names] for one in found]
    hovers = (
        tuple(f"{one.name}, {name}: {text}" for name, (_, text) in zip(names, row, strict=True))
        for one, row in zip(found, cells, strict=True)
    )
    return Panel(title, ticks, tuple(tuple(value for value, _ in row) for row in cells), tuple(hovers))


def _time(one: Timed, name: str) -> Cell:
    ms = one.ms.get(name)
    if ms is None:
        return None, ""
    return ms, f"{format.milliseconds(ms)} a batch, {format.percent(ms / (sum(one.ms.values()) or 1))} of its time"


def _macs(one: Timed, name: str) -> Cell:
    macs = one.macs.get(name)
    if macs is None:
        return None, ""
    share = format.percent(macs / (sum(one.macs.values()) or 1))
    return macs, f"{format.count(macs)} MACs per example, {share} of its MACs"


def _bytes(one: Timed, name: str) -> Cell:
    layer = _layer(one, name)
    if layer.get("bits") is None:
        return None, ""
    count = math.prod(layer["shape"]) * layer["bits"] / 8
    return count, f"weights {format.size(count)}, {layer['bits']} bits each"


def _noise(one: Timed, name: str) -> Cell:
    db = _layer(one, name).get("sqnr_db")
    return (None, "") if db is None else (db, f"output SQNR {format.decibels(db)}")


def _layer(one: Timed, name: str) -> Mapping[str, Any]:
    return next((layer for layer in one.layers if layer["name"] == name), {})


def _panels(view: Profile) -> go.Figure:
    width = 1 / max(1, len(view.panels))
    axes = {
        f"xaxis{place + 1 if place else ''}": style.axis(
            {"title": panel.title, "rangemode": "tozero", "tickformat": panel.ticks, "nticks": 3, "tickangle": 0,
             "domain": [place * width, (place + 1) * width - GAP * (place + 1 < len(view.panels))]}
        )
        for place, panel in enumerate(view.panels)
    }  # fmt: skip
    traces = [
        _row_bars(view, panel, place, variant)
        for place, panel in enumerate(view.panels)
        for variant in range(len(view.models))
    ]
    rows = len(view.layers) * max(1, len(view.models))
    return style.figure(
        traces,
        view.title,
        x={"title": ""},
        y={"title": "", "type": "category", "autorange": "reversed", "showgrid": False, "dtick": 1},
        height=min(150 + 14 * max(8, rows), 1000),
        barmode="group",
        bargap=0.3,
        **axes,
    )


def _row_bars(view: Profile, panel: Panel, place: int, variant: int) -> dict[str, Any]:
    name, role = view.models[variant]
    return {
        "type": "bar",
        "orientation": "h",
        "x": panel.values[variant],
        "y": view.layers,
        "xaxis": f"x{place + 1 if place else ''}",
        "name": name,
        "legendgroup": str(variant),
        "showlegend": place == 0,
        "offsetgroup": str(variant),
        "marker": _fill(role, sum(other == role for _, other in view.models[:variant])),
        "hovertext": panel.hovers[variant],
        "hoverinfo": "text",
    }


def _fill(role: str, twins: int) -> dict[str, Any]:
    return {"color": style.look(role).colour, "pattern": {"shape": HATCHES[twins % len(HATCHES)]}}


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
        "marker": _fill(one.role, twins),
        "hovertemplate": f"{one.name}: %{{y:.3g}} ms<extra></extra>",
    }
