"""Layer by layer: zeros, parameters, MACs, rank, values, bits and noise of two variants."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import plotly.graph_objects as go

from kdcore.figures import style
from kdcore.report import format

Layer = Mapping[str, Any]
By = Literal["weight", "filter", "channel"]
What = Literal["params", "macs", "filters", "rank", "distinct", "bits"]
PARTS: dict[By, tuple[str, str, str]] = {
    "weight": ("zeros", "params", "Weights that are zero (%)"),
    "filter": ("zero_filters", "filters", "Filters that are all zero (%)"),
    "channel": ("zero_channels", "channels", "Input channels that are all zero (%)"),
}
COUNTS: dict[What, tuple[str, str]] = {
    "params": ("Parameters", "parameters"),
    "macs": ("MACs per example", "MACs"),
    "filters": ("Filters", "filters"),
    "rank": ("Rank", "rank"),
    "distinct": ("Distinct weights", "distinct weights"),
    "bits": ("Bits per weight in the file", "bits per weight"),
}


class Model(NamedTuple):
    """A variant and the `layers` of its report, in graph order."""

    name: str
    role: str
    layers: Sequence[Layer]


class Bars(NamedTuple):
    """One group of bars a layer; `values[m][l]` is of model m and layer l, None where it has no such layer."""

    title: str
    value_title: str
    layers: tuple[str, ...]
    models: tuple[tuple[str, str], ...]
    values: tuple[tuple[float | None, ...], ...]
    hovers: tuple[tuple[str, ...], ...]

    @property
    def blank(self) -> bool:
        """Whether no bar would be seen."""
        return not any(value for row in self.values for value in row)


def sparsity(models: Sequence[Model], by: By = "weight") -> go.Figure:
    """Share of zeros in every layer, by weight, filter or input channel, one colour a variant."""
    return _figure(sparsity_view(models, by), most=100)


def shares(models: Sequence[Model], what: What = "params") -> go.Figure:
    """Parameters, MACs, filters, rank, distinct values or bits of every layer, one colour a variant."""
    return _figure(shares_view(models, what))


def sparsity_view(models: Sequence[Model], by: By = "weight") -> Bars:
    zeros, of, value_title = PARTS[by]
    unit = {"weight": "weights", "filter": "filters", "channel": "input channels"}[by]

    def share(layer: Layer) -> float:
        total = _weights(layer) if by == "weight" else layer[of]
        return 100 * layer[zeros] / total if total else 0.0

    def hover(layer: Layer) -> str:
        total = _weights(layer) if by == "weight" else layer[of]
        return f"{layer[zeros]} of {total} {unit} are zero; shape {_shape(layer)}"

    bars = _bars(models, value_title, share, hover)
    highest = max(
        ((value, model[0], layer) for model, row in zip(bars.models, bars.values, strict=True)
         for layer, value in zip(bars.layers, row, strict=True) if value is not None), default=(0.0, "", "")
    )  # fmt: skip
    if not highest[0]:
        gone = (
            "; removed filters are no longer in the shapes" if any(model.role == "pruned" for model in models) else ""
        )
        return bars._replace(title=f"No {unit} are zero{gone}")
    share_of = format.percent(highest[0] / 100)
    return bars._replace(title=f"Most zeros: {share_of} of the {unit} of {highest[2]} in {highest[1]}")


def shares_view(models: Sequence[Model], what: What = "params") -> Bars:
    value_title, unit = COUNTS[what]

    def hover(layer: Layer) -> str:
        text = f"{format.count(layer.get(what))} {unit}"
        if what == "distinct":
            text += f", at most {format.count(layer.get('distinct_in_filter'))} in a filter"
        if what == "rank":
            text = f"rank {format.count(layer.get(what))} of at most {_full_rank(layer)}"
        return f"{text}; shape {_shape(layer)}"

    bars = _bars(models, value_title, lambda layer: layer.get(what), hover)
    if not models or not models[0].layers:
        return bars
    first = models[0]
    needed = "distinct_in_filter" if what == "distinct" else what
    known = [layer for layer in first.layers if layer.get(needed) is not None]
    if not known:
        return bars._replace(title=f"{value_title} of {first.name}: not measured")
    title = {"rank": _least_rank, "distinct": _fewest_values, "bits": _bits}.get(what)
    return bars._replace(title=title(first, known) if title else _largest(first, what, unit))


def _largest(model: Model, what: What, unit: str) -> str:
    total = sum(layer[what] for layer in model.layers)
    top = max(model.layers, key=lambda layer: layer[what])
    share = format.percent(top[what] / total) if total else "none"
    return f"{top['name']} holds {share} of the {unit} of {model.name}"


def _least_rank(model: Model, known: Sequence[Layer]) -> str:
    least = min(known, key=lambda layer: layer["rank"] / _full_rank(layer))
    if least["rank"] == _full_rank(least):
        return f"Every layer of {model.name} has full rank" + (
            "" if len(known) == len(model.layers) else ", of those small enough to measure"
        )
    return f"{least['name']} of {model.name} has rank {least['rank']} of at most {_full_rank(least)}"


def _fewest_values(model: Model, known: Sequence[Layer]) -> str:
    least = min(known, key=lambda layer: layer["distinct_in_filter"] * layer["shape"][0] / _weights(layer))
    return (
        f"{least['name']} of {model.name} has {least['distinct']:,} distinct values in {_weights(least):,} weights, "
        f"at most {least['distinct_in_filter']:,} in a filter"
    )


def _bits(model: Model, known: Sequence[Layer]) -> str:
    counts = Counter(layer["bits"] for layer in known)
    parts = [f"{bits} bits in {format.plural(count, 'layer')}" for bits, count in sorted(counts.items())]
    return f"Weights of {model.name}: {', '.join(parts)}"


def noise(models: Sequence[Model]) -> go.Figure | None:
    """SQNR of every layer's output against the file that the variant was made from; None where no variant has any.

    Where a layer has none, the reason stands in its place.
    """
    bars = noise_view(models)
    if not any(value is not None for row in bars.values for value in row):
        return None
    drawn = _figure(bars)
    for trace, values, hovers in zip(drawn.data, bars.values, bars.hovers, strict=True):
        reasons = [
            hover.partition(": ")[2] if value is None else "" for value, hover in zip(values, hovers, strict=True)
        ]
        trace.update(x=[value or 0 for value in values], text=reasons, textposition="outside", cliponaxis=False)
        trace.update(constraintext="none", textfont={"size": 11})  # or they shrink to the height of the bars
    return drawn


def noise_view(models: Sequence[Model]) -> Bars:
    """Those variants alone that have a number or a reason for having none in some layer."""
    measured = [model for model in models if any(_has_noise(layer) for layer in model.layers)]

    def hover(layer: Layer) -> str:
        db = layer["sqnr_db"]
        return layer["sqnr_note"] if db is None else f"{format.decibels(db)}, relative error {relative_error(db)}"

    bars = _bars(measured, "Output SQNR (dB)", lambda layer: layer.get("sqnr_db"), hover)
    found = [
        (value, layer, name)
        for (name, _), row in zip(bars.models, bars.values, strict=True)
        for layer, value in zip(bars.layers, row, strict=True)
        if value is not None
    ]
    if not found:
        return bars
    worst, layer, name = min(found)
    return bars._replace(
        title=f"Lowest output SQNR: {layer} of {name}, {format.decibels(worst)} (error {relative_error(worst)})"
    )


def relative_error(db: float) -> str:
    """RMS error relative to the RMS of the signal, for an SQNR in decibels."""
    return format.percent(10 ** (-db / 20))


def _has_noise(layer: Layer) -> bool:
    return layer.get("sqnr_db") is not None or bool(layer.get("sqnr_note"))


def _full_rank(layer: Layer) -> int:
    filters = layer["shape"][0]
    return min(filters, _weights(layer) // filters)


def _weights(layer: Layer) -> int:
    return int(np.prod(layer["shape"]))


def _shape(layer: Layer) -> str:
    return "×".join(str(size) for size in layer["shape"])


def _bars(models: Sequence[Model], value_title: str, value: Any, hover: Any) -> Bars:
    names = tuple(dict.fromkeys(layer["name"] for model in models for layer in model.layers))
    values, hovers = [], []
    for model in models:
        by_name = {layer["name"]: layer for layer in model.layers}
        values.append(tuple(value(by_name[name]) if name in by_name else None for name in names))
        hovers.append(
            tuple(f"{model.name}, {name}: {hover(by_name[name])}" if name in by_name else "" for name in names)
        )
    return Bars(
        "No layers to show", value_title, names, tuple((m.name, m.role) for m in models), tuple(values), tuple(hovers)
    )


def _figure(bars: Bars, most: float | None = None) -> go.Figure:
    traces = [
        {
            "type": "bar",
            "x": values,
            "y": bars.layers,
            "orientation": "h",
            "name": name,
            "hovertext": hovers,
            "hoverinfo": "text",
            "marker": _fill(role, second=index > 0 and role == bars.models[0][1]),
        }
        for index, ((name, role), values, hovers) in enumerate(zip(bars.models, bars.values, bars.hovers, strict=True))
    ]
    return style.figure(
        traces,
        bars.title,
        x={"title": bars.value_title, "range": [0, most] if most else None, "rangemode": "tozero"},
        y={"title": "", "type": "category", "autorange": "reversed"},
        height=min(120 + max(1, len(bars.models)) * 14 * max(4, len(bars.layers)), 900),
        barmode="group",
        bargap=0.3,
    )


def _fill(role: str, *, second: bool) -> dict[str, Any]:
    """Two variants of one role differ by a pattern, never by another colour."""
    colour = style.look(role).colour
    pattern = {"shape": "/" if second else "", "fgcolor": colour}  # on the page's background
    return {"color": colour, "pattern": pattern, "line": {"color": colour, "width": int(second)}}
