"""Layers: inside a variant, beside another one."""

from __future__ import annotations

import streamlit as st

from pages.layers import graph, layer_view, sensitivity, times
from pages.shared import links, store, text

runs = store.finished()

st.title("Layers", anchor=False)
if not runs:
    text.empty(
        "No trained model yet",
        "Here you will see each layer's zeros, parameters, MACs and weights, for two variants side by side.",
        "Train one on the home page",
        "home/page.py",
        ":material/layers:",
    )
    st.stop()


def choose(suffix: str, title: str, default_run: str | None, default_variant: str | None) -> layer_view.LayerView:
    """A run and one of its variants."""
    run_column, variant_column = st.columns(2)
    with run_column:
        run = links.run(f"{title}: run", runs, f"run{suffix}", default=default_run)
    with store.legible():
        found = {variant.name: variant for variant in store.variants(run)}
    with variant_column:
        usual = default_variant if default_variant and default_variant in found else list(found)[-1]
        name = links.one(f"{title}: variant", list(found), f"variant{suffix}", default=usual)
    return layer_view.read(run, found[name])


left, right = st.columns(2, gap="medium")
with left, st.container(border=True):
    first = choose("", "A", None, None)
with right, st.container(border=True):
    second = choose("_b", "B", first.run, first.parent or "teacher")
st.caption("Results are for each variant's first seed.")
layer_view.overview([first, second])
graph.show(layer_view.named([first, second]))
layer_view.layer([first, second])
layer_view.table([first, second])
times.show(layer_view.named([first, second]))
sensitivity.show(first)
