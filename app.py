"""The dashboard: page config and navigation, nothing else. `streamlit run app.py`."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

ICON = str(Path(__file__).parent / "pages" / "ui" / "icon.png")

st.set_page_config(page_title="kdcore", page_icon=ICON, layout="wide")
st.logo(ICON, size="large")

st.session_state.framed = True
page = st.navigation(
    [
        st.Page(
            "pages/home.py",
            title="Home",
            icon=":material/home:",
            default=True,
            help="What this is, experiments that start with one click, and the latest runs.",
        ),
        st.Page(
            "pages/new.py",
            title="New experiment",
            icon=":material/science:",
            help="Choose data, teacher, student and steps; see size, work and time before you run it.",
        ),
        st.Page(
            "pages/runs.py",
            title="Runs",
            icon=":material/list_alt:",
            help="Every run with its state and stages, live curves and log; cancel, resume, duplicate, delete.",
        ),
        st.Page(
            "pages/compare.py",
            title="Compare",
            icon=":material/compare_arrows:",
            help="Accuracy against size and time, the full table, verdicts, and downloads.",
        ),
        st.Page(
            "pages/soft_targets.py",
            title="Soft targets",
            icon=":material/thermostat:",
            help="What a temperature makes of a network's answer to one image, and which classes it finds alike.",
        ),
        st.Page(
            "pages/trust.py",
            title="Trust",
            icon=":material/verified_user:",
            help="Whether a model is as sure as it is right, what it gives away, what it took over from its teacher.",
        ),
        st.Page(
            "pages/layers.py",
            title="Layers",
            icon=":material/layers:",
            help="Zeros, parameters, MACs and weights of every layer, one variant beside another.",
        ),
        st.Page(
            "pages/system.py",
            title="System",
            icon=":material/memory:",
            help="This machine, the queue, disk and its clean-up, versions.",
        ),
    ],
    position="top",
)
page.run()
