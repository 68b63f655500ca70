"""What two variants hold, layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from kdcore.figures.layers import (
    Bars,
    By,
    Model,
    What,
    noise,
    relative_error,
    shares,
    shares_view,
    sparsity,
    sparsity_view,
)  # fmt: skip
from kdcore.figures.weights import histogram
from kdcore.report import format
from kdcore.report import layers as report
from kdcore.report.documents import FORMATS
from kdcore.workspace.plans import Variant
from pages.shared import charts, links, roles, store
from pages.shared.text import plain

ZEROS: dict[str, str] = {"weight": "By weight", "filter": "By filter", "channel": "By channel"}
AMOUNTS: dict[str, str] = {
    "params": "Parameters",
    "macs": "MACs",
    "filters": "Filters",
    "rank": "Rank",
    "distinct": "Distinct",
    "bits": "Bits",
}


NONE = ":material/info: This variant's file has no layers with weights."

# The most important comes first: not all columns are in sight.
SHOWN = [
    "variant", "name", "type", "shape", "params", "macs", "bits", "sqnr_db", "rank", "distinct", "distinct_in_filter",
    "zeros_percent", "zero_filters_percent", "zero_channels_percent", "mean_abs", "std", "sqnr_note",
]  # fmt: skip


class LayerView(NamedTuple):
    """A variant's first seed: its report, and the name of the variant that it was made from."""

    run: str
    name: str
    role: str
    parent: str | None
    note: str
    key: str
    report: dict[str, Any]


def read(run_id: str, variant: Variant) -> LayerView:
    key = variant.keys[0]
    return LayerView(run_id, variant.name, variant.role, variant.parent, variant.note, key, store.report(key) or {})


def _each(chosen: list[LayerView]) -> list[LayerView]:
    """Both, or the one that was chosen twice."""
    return chosen[:1] if (chosen[0].run, chosen[0].name) == (chosen[1].run, chosen[1].name) else chosen


def named(chosen: list[LayerView]) -> dict[str, LayerView]:
    """Both by name; two of one name are named A and B, and the same one is there once."""
    chosen = _each(chosen)
    same = len({one.name for one in chosen}) < len(chosen)
    return {f"{one.name} ({letter})" if same else one.name: one for letter, one in zip("AB", chosen, strict=False)}


def _models(chosen: list[LayerView]) -> list[Model]:
    return [Model(name, one.role, one.report["layers"]) for name, one in named(chosen).items()]


def summary(chosen: list[LayerView]) -> None:
    """Both variants in numbers."""
    for column, one in zip(st.columns(2, gap="medium"), chosen, strict=True):
        cost, size, quality = (one.report[part] for part in ("cost", "size", "quality"))
        with column:
            if not size:
                st.markdown(f"{roles.mark(one.role)} **{plain(one.name)}**: a file of soft labels")
                st.caption(":material/info: The network behind it is not available, so its layers are unknown.")
                continue
            st.markdown(
                f"{roles.mark(one.role)} **{plain(one.name)}**: test accuracy {format.percent(quality['accuracy'])}, "
                f"{format.size(size['size_bytes'])}, {format.count(cost['params'])} parameters, "
                f"{format.count(cost['macs'])} MACs, {format.percent(cost['sparsity'])} zeros"
            )
            if one.note:
                st.caption(f":material/info: {plain(one.note)}")


def overview(chosen: list[LayerView]) -> None:
    """Zeros and amounts by layer, and every layer as a table."""
    models = _models(chosen)
    left, right = st.columns(2, gap="medium")
    with left, st.container(border=True, height="stretch"):
        _zeros(models)
    with right, st.container(border=True, height="stretch"):
        _amounts(models)
    _table(chosen)


@st.fragment
def _zeros(models: list[Model]) -> None:
    by: By = links.segments("Zeros", list(ZEROS), "by", format_func=ZEROS.__getitem__)  # type: ignore[assignment]
    _bars(sparsity_view(models, by), partial(sparsity, models, by), key="sparsity")


@st.fragment
def _amounts(models: list[Model]) -> None:
    what: What = links.segments("Amount", list(AMOUNTS), "what", format_func=AMOUNTS.__getitem__)  # type: ignore[assignment]
    _bars(shares_view(models, what), partial(shares, models, what), key="shares")


def _bars(view: Bars, draw: Callable[[], go.Figure], key: str) -> None:
    """The chart, or in place of a blank one the line that says why."""
    if view.blank:
        st.markdown(f"{plain(view.title)}.")
    else:
        charts.show(draw(), key=key)


def noises(chosen: list[LayerView]) -> None:
    """Each layer's output SQNR, for variants that were made from another file."""
    drawn = noise(_models(chosen))
    if drawn is None:
        st.caption(
            ":material/info: Neither variant was made from another file, so there is nothing to compare its layers' "
            "outputs with. Choose a compressed variant."
        )
        return
    with st.container(border=True):
        charts.show(drawn, key="noise")
        whole = [
            f"Logits of {plain(one.name)}: {_sqnr(sqnr['logits_db'])}"
            for one in _each(chosen)
            if (sqnr := one.report.get("sqnr")) and sqnr["logits_db"] is not None
        ]
        st.caption(
            ":material/info: SQNR: signal-to-quantization-noise ratio of each layer's output on validation examples, "
            "against the file that the variant was made from. It includes the noise of the layers before; 20 dB is an "
            "error of 10 %. " + "".join(f"{one}. " for one in whole)
        )


def layer(chosen: list[LayerView]) -> None:
    """One layer: the histogram of its weights, and its numbers."""
    models = _models(chosen)
    names = list(dict.fromkeys(one["name"] for model in models for one in model.layers))
    if not names:
        st.caption(NONE)
        return
    left, right = st.columns([1.6, 1], gap="medium")
    with right:
        name = links.one("Layer", names, "layer", default=names[0])
        st.table(_numbers(models, name), border="horizontal")
    with left, st.container(border=True):
        charts.show(histogram(models, name), key="histogram")


def _numbers(models: list[Model], name: str) -> pd.DataFrame:
    columns = {}
    for model in models:
        one = next((candidate for candidate in model.layers if candidate["name"] == name), None)
        columns[f"{roles.mark(model.role)} {plain(model.name)}"] = _layer_numbers(one, model) if one else {}
    return pd.DataFrame(columns).fillna(format.MISSING)


def _layer_numbers(one: Mapping[str, Any], model: Model) -> dict[str, str]:
    total, db = sum(other["macs"] for other in model.layers), one.get("sqnr_db")
    return {
        "Type": one["type"],
        "Shape": "×".join(map(str, one["shape"])),
        "Parameters": format.count(one["params"]),
        "MACs": f"{format.count(one['macs'])} ({format.percent(one['macs'] / total if total else None)})",
        "Zero weights": f"{one['zeros']:,} ({format.percent(one['sparsity'])})",
        "Zero filters": f"{one['zero_filters']} of {one['filters']}",
        "Zero channels": f"{one['zero_channels']} of {one['channels']}",
        "Mean absolute weight": f"{one['mean_abs']:.3g}",
        "Standard deviation": f"{one['std']:.3g}",
        "Bits per weight": str(one["bits"]),
        "Rank": format.count(one.get("rank")),
        "Distinct weights": format.count(one.get("distinct")),
        "Distinct weights per filter (max)": format.count(one.get("distinct_in_filter")),
        "Output SQNR": one.get("sqnr_note") or format.MISSING if db is None else _sqnr(db),
    }


def _sqnr(db: float) -> str:
    return f"{format.decibels(db)} (error {relative_error(db)})"


def _table(chosen: list[LayerView]) -> None:
    """Every layer of both as a table, and as files."""
    found = [report.LayerReport(one.run, one.name, one.key, one.report) for one in _each(chosen)]
    frame = report.table(found)
    if frame.empty:
        st.caption(NONE)
        return
    st.subheader("All layers", anchor=False)
    several = len({one.run for one in found}) > 1
    st.dataframe(
        frame, hide_index=True, alt="Every layer of both variants", column_config=_columns(),
        column_order=["run"] * several + SHOWN, placeholder=format.MISSING,
    )  # fmt: skip
    with st.container(horizontal=True):
        for name in report.FORMATS:
            about = FORMATS[name]
            st.download_button(
                about.label, partial(report.layers_file, found, name), file_name=f"layers{about.suffix}",
                mime=about.mime, key=f"layers_{name}", icon=":material/download:", on_click="ignore",
            )  # fmt: skip


def _columns() -> dict[str, Any]:
    number = st.column_config.NumberColumn
    return {
        "run": "Run",
        "variant": "Variant",
        "name": "Layer",
        "type": "Type",
        "shape": "Shape",
        "params": number("Parameters", format="localized"),
        "macs": number("MACs", format="localized"),
        "zeros_percent": number("Zeros (%)", format="%.1f", help="Weights that are zero."),
        "zero_filters_percent": number("Zero filters (%)", format="%.1f", help="Filters whose weights are all zero."),
        "zero_channels_percent": number(
            "Zero channels (%)", format="%.1f", help="Input channels whose weights are all zero."
        ),
        "mean_abs": number("Mean |weight|", format="%.3g", help="Mean absolute weight."),
        "std": number("Standard deviation", format="%.3g"),
        "bits": number("Bits", help="Bits per weight in the file."),
        "rank": number("Rank", help="Numerical rank of the weight as a matrix, filters by inputs."),
        "distinct": number("Distinct", format="localized", help="Different values among the weights."),
        "distinct_in_filter": number(
            "Distinct weights per filter (max)",
            format="localized",
            help="Batch norm is folded into each filter separately.",
        ),
        "sqnr_db": number("Output SQNR (dB)", format="%.1f", help="Against the file that the variant was made from."),
        "sqnr_note": "Why no SQNR",
    }
