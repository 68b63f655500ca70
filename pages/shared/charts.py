"""Putting a figure on a page: its title as text that wraps on a phone, and as the name for screen readers."""

from __future__ import annotations

import re
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from kdcore.figures.links import without_links
from pages.shared.text import plain

UNIT, NARROW = re.compile(r"(?<=\d) (?=%|kB|MB|ms|dB|bits|points)"), "\N{NO-BREAK SPACE}"
CONFIG = {"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"]}


def show(figure: go.Figure, key: str, note: str = "", **options: Any) -> Any:
    """Shows the figure below its title and a note on it; returns what `st.plotly_chart` does."""
    title = figure.layout.title.text
    figure.layout.title = None
    with st.container(gap="xsmall"):
        st.markdown(f"**{plain(UNIT.sub(NARROW, title))}**")
        if note:
            st.caption(note)
        return st.plotly_chart(without_links(figure), key=key, alt=title, config=CONFIG, **options)
