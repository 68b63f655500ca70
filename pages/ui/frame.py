"""A page always appears inside app.py, which holds the page config and the navigation."""

from __future__ import annotations

import runpy
from pathlib import Path

import streamlit as st

APP = Path(__file__).resolve().parents[2] / "app.py"


def frame() -> None:
    """Called first by every page.

    Streamlit takes a folder called pages/ for its old kind of app until `st.navigation` has run once. Were
    the first visit after a start a link to a page, the bare page would be shown; this runs app.py instead.
    """
    if "framed" not in st.session_state:
        runpy.run_path(str(APP))
        st.stop()
