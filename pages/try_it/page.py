"""Try it: an input of one's own, and what every variant of a run answers to it. ONNX Runtime alone, without torch."""

from __future__ import annotations

import streamlit as st

from pages.shared import links, store, text
from pages.try_it import source, stage, variants

runs = store.finished()

st.title("Try it", anchor=False)
if not runs:
    text.empty(
        "No trained model yet",
        "Here you will draw, upload or photograph an input, and see what a teacher and its students answer to it.",
        "Train one on the home page",
        "home/page.py",
        ":material/draw:",
    )
    st.stop()

run_column, source_column, variants_column = st.columns([1, 1.3, 1.9])
with run_column:
    run_id = links.run("Run", runs)
with store.legible():
    fingerprint = store.plan(run_id).dataset["fingerprint"]
    pictures = store.pictures(fingerprint)
if pictures is None:
    st.error("The test examples of this run's data set are no longer in the workspace. Run it again to get them back.")
    st.stop()
with variants_column, store.legible():
    chosen = variants.choose(run_id)
style, called = source.manner_of(fingerprint), pictures.kind.one
with source_column:
    kind = links.segments(
        "Input",
        source.kinds(pictures, style),
        "input",
        format_func=lambda way: source.KINDS[way].format(called),
    )
if chosen:
    stage.show(chosen, pictures, style, kind)
else:
    st.info("Choose a variant to see its answer.")
