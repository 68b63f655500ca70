"""What two variants hold, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd
import streamlit as st

from kdcore.figures.layers import By, Model, What, shares, sparsity
from kdcore.figures.weights import histogram
from kdcore.report import words
from pages.ui import charts, links, roles, store
from pages.ui.text import plain

ZEROS: dict[str, str] = {"weight": "By weight", "filter": "By filter", "channel": "By channel"}
AMOUNTS: dict[str, str] = {"params": "Parameters", "macs": "MACs", "filters": "Filters"}


class Inside(NamedTuple):
    """A variant's first seed: its report, and the name of the variant that it was made from."""

    run: str
    name: str
    role: str
    parent: str | None
    note: str
    report: dict[str, Any]


def read(run_id: str, variant: dict[str, Any]) -> Inside:
    found = store.report(variant["keys"][0])
    return Inside(run_id, variant["name"], variant["role"], variant["parent"], variant["note"], found or {})


def _models(chosen: list[Inside]) -> list[Model]:
    """The layers of both; two of one name are told apart as A and B, and the same one is shown once."""
    if (chosen[0].run, chosen[0].name) == (chosen[1].run, chosen[1].name):
        chosen = chosen[:1]
    same = len({one.name for one in chosen}) < len(chosen)
    return [
        Model(f"{one.name} ({letter})" if same else one.name, one.role, one.report["layers"])
        for letter, one in zip("AB", chosen, strict=False)
    ]


def overview(chosen: list[Inside]) -> None:
    """Both in numbers, then zeros and amounts by layer."""
    for column, one in zip(st.columns(2, gap="medium"), chosen, strict=True):
        cost, size, quality = (one.report[part] for part in ("cost", "size", "quality"))
        with column:
            if not size:
                st.markdown(f"{roles.mark(one.role)} **{plain(one.name)}**: a file of soft labels")
                st.caption(":material/info: The network that wrote it is not here, so its layers are not known.")
                continue
            st.markdown(
                f"{roles.mark(one.role)} **{plain(one.name)}**: {words.percent(quality['accuracy'])} right, "
                f"{words.size(size['size_bytes'])}, {words.count(cost['params'])} parameters, "
                f"{words.count(cost['macs'])} MACs, {words.percent(cost['sparsity'])} zeros"
            )
            if one.note:
                st.caption(f":material/info: {plain(one.note)}")
    models = _models(chosen)
    left, right = st.columns(2, gap="medium")
    with left, st.container(border=True, height="stretch"):
        by: By = links.segments("Zeros", list(ZEROS), "by", format_func=ZEROS.__getitem__)  # type: ignore[assignment]
        charts.show(sparsity(models, by), key="sparsity")
    with right, st.container(border=True, height="stretch"):
        what: What = links.segments("Amount", list(AMOUNTS), "what", format_func=AMOUNTS.__getitem__)  # type: ignore[assignment]
        charts.show(shares(models, what), key="shares")


def layer(chosen: list[Inside]) -> None:
    """One layer: the histogram of its weights, and its numbers."""
    models = _models(chosen)
    names = list(dict.fromkeys(one["name"] for model in models for one in model.layers))
    if not names:
        return
    st.header("One layer", anchor=False)
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
        columns[f"{roles.mark(model.role)} {plain(model.name)}"] = _told(one, model) if one else {}
    return pd.DataFrame(columns).fillna(words.MISSING)


def _told(one: Mapping[str, Any], model: Model) -> dict[str, str]:
    total = sum(other["macs"] for other in model.layers)
    return {
        "Type": one["type"],
        "Shape": "×".join(map(str, one["shape"])),
        "Parameters": words.count(one["params"]),
        "MACs": f"{words.count(one['macs'])} ({words.percent(one['macs'] / total if total else None)})",
        "Zero weights": f"{one['zeros']:,} ({words.percent(one['sparsity'])})",
        "Zero filters": f"{one['zero_filters']} of {one['filters']}",
        "Zero channels": f"{one['zero_channels']} of {one['channels']}",
        "Mean size": f"{one['mean_abs']:.3g}",
        "Spread (std)": f"{one['std']:.3g}",
        "Bits a weight": str(one["bits"]),
    }


def table(chosen: list[Inside]) -> None:
    """Every layer of both as a table, and as a file."""
    frame = pd.DataFrame(
        [
            {"variant": model.name, **{name: value for name, value in one.items() if name != "histogram"}}
            for model in _models(chosen)
            for one in model.layers
        ]
    )
    if frame.empty:
        st.caption("This variant's file has no layers with weights.")
        return
    frame["shape"] = ["×".join(map(str, shape)) for shape in frame["shape"]]
    st.header("All layers", anchor=False)
    st.dataframe(
        frame, hide_index=True, alt="Every layer of both variants",
        column_config={name: name.replace("_", " ").capitalize() for name in frame}
        | {"sparsity": st.column_config.NumberColumn("Sparsity", format="percent")},
    )  # fmt: skip
    st.download_button(
        "CSV", frame.to_csv(index=False), "layers.csv", "text/csv", key="layers_csv", icon=":material/download:",
        on_click="ignore",
    )  # fmt: skip
