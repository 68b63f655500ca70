"""Trust: calibration, robustness, privacy of the training images, fidelity to the teacher."""

from __future__ import annotations

import streamlit as st

from pages.shared import links, store, text
from pages.trust import calibration, fidelity, privacy, robustness

USUAL = 8  # more variants than this, and the page begins with the first of them
PARTS = {
    "calibration": calibration.section,
    "robustness": robustness.section,
    "privacy": privacy.section,
    "fidelity": fidelity.section,
}

runs = store.finished()

st.title("Trust", anchor=False)
if not runs:
    text.empty(
        "No trained model yet",
        "Here you will see whether a model's confidence matches its accuracy, whether it leaks its training examples, "
        "and how closely it follows its teacher.",
        "Train one on the home page",
        "home/page.py",
        ":material/verified_user:",
    )
    st.stop()

run_column, variants_column = st.columns([1, 2])
with run_column:
    run_id = links.run("Run", runs)
with store.legible():
    known = [variant.name for variant in store.variants(run_id)]
with variants_column:
    chosen = links.many("Variants", known, "variants", default=known[:USUAL])
with st.container(horizontal=True, vertical_alignment="bottom"):
    part = links.segments("What to look at", list(PARTS), "part", format_func=str.capitalize)
    st.caption("Results are for each variant's first seed.", width="content")
with store.legible():
    PARTS[part](run_id, chosen)
