"""Putting a figure on a page: its title as text that wraps on a phone, and as the name for screen readers."""

from __future__ import annotations

import re
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from kdcore.data.upload import clean
from kdcore.figures.links import without_links
from pages.shared import store
from pages.shared.text import plain

UNIT, NARROW = re.compile(r"(?<=\d) (?=%|kB|MB|ms|dB|bits|points)"), "\N{NO-BREAK SPACE}"
CONFIG = {"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"]}
BACKGROUNDS = {"light": "#FFFFFF", "dark": "#14171C"}  # as in .streamlit/config.toml


def show(figure: go.Figure, key: str, note: str = "", **options: Any) -> Any:
    """Shows the figure below its title and a note on it; returns what `st.plotly_chart` does. Saved as a picture, it
    has a background and twice the size, and is called after its run and the chart."""
    title = figure.layout.title.text
    figure.layout.title = None
    figure.layout.paper_bgcolor = BACKGROUNDS.get(st.context.theme.type or "")
    saved = {"format": "png", "scale": 2, "filename": _file_name(key)}
    config = CONFIG | {"toImageButtonOptions": saved}
    with st.container(gap="xsmall"):
        st.markdown(f"**{plain(UNIT.sub(NARROW, title))}**")
        if note:
            st.caption(note)
        return st.plotly_chart(without_links(figure), key=key, alt=title, config=config, **options)


def _file_name(key: str) -> str:
    """The names of the runs that the page is about, and the chart."""
    query = st.query_params
    shown = dict.fromkeys([*query.get_all("run"), *query.get_all("runs")])
    known = (row for run_id in shown if (row := store.index().run(run_id)))
    names = [row.name for row in sorted(known, key=lambda row: row.created, reverse=True)]
    return clean(f"{' and '.join(names[:2])} {key.replace('_', ' ')}.png".strip()).removesuffix(".png")
