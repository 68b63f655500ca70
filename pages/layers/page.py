"""Layers: inside a variant, beside another one; one part at a time."""

from __future__ import annotations

import streamlit as st

from pages.layers import graph, layer_view, sensitivity, times
from pages.shared import links, store, text

PARTS = {
    "overview": "Overview",
    "noise": "Output noise",
    "layer": "One layer",
    "graph": "Graph",
    "times": "Time",
    "sensitivity": "Sensitivity",
}
OWN = {"layer": "layer", "step": "sensitivity"}  # choices in a link that only one part has, and this part

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
usual = next((part for choice, part in OWN.items() if choice in st.query_params), "overview")
both = [first, second]
layer_view.summary(both)
with st.container(horizontal=True, vertical_alignment="bottom"):
    part = links.segments(
        "What to look at", list(PARTS), "part", default=usual, format_func=PARTS.__getitem__, wrap=True
    )
    st.caption("Results are for each variant's first seed.", width="content")
if part == "overview":
    layer_view.overview(both)
elif part == "noise":
    layer_view.noises(both)
elif part == "layer":
    layer_view.layer(both)
elif part == "graph":
    graph.show(layer_view.named(both))
elif part == "times":
    times.show(layer_view.named(both))
else:
    sensitivity.show(first)
