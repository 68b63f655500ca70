"""Putting a figure on a page: its title as text that wraps on a phone, and as the name for screen readers."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from kdcore.data.upload import clean
from pages.shared import links, plot, store
from pages.shared.text import plain

UNIT, NARROW = re.compile(r"(?<=\d) (?=%|kB|MB|ms|dB|bits|points)"), "\N{NO-BREAK SPACE}"
WHOLE = 10_000  # pixels, more than any window is wide: a dialog shrinks to it


def show(figure: go.Figure, key: str, note: str = "", pick: Callable[[Any], None] | None = None) -> None:
    """Shows the figure below its title and a note on it, with a button that shows it large.

    `pick` is called with the `customdata` of a point that is clicked.
    """
    title = figure.layout.title.text
    figure.layout.title = None
    with st.container(gap=None):
        with st.container(horizontal=True, wrap=False, vertical_alignment="center"):
            st.markdown(f"**{plain(UNIT.sub(NARROW, title))}**", width="stretch")
            st.button(
                "Large", key=f"large_{key}", type="tertiary", icon=":material/open_in_full:", on_click=links.present,
                args=(key,), help="Fill the window, as for a projector; save as PNG or SVG.",
            )  # fmt: skip
        if note:
            st.caption(note)
        if links.presented() == key:
            _present(figure, key, title)
        plot.draw(figure, key, title, pick)


def _present(figure: go.Figure, key: str, title: str) -> None:
    """The chart alone, in a dialog that fills the window, until Esc."""
    shown = st.dialog(plain(title), width=WHOLE, on_dismiss=links.present)
    shown(plot.large)(figure, key, title, _file_name(key))


def _file_name(key: str) -> str:
    """The names of the runs that the page is about, and the chart."""
    query = st.query_params
    asked = [*query.get_all("run"), *query.get_all("runs")] or [st.session_state.get(links.SHOWN, "")]
    shown = dict.fromkeys(asked)
    known = (row for run_id in shown if (row := store.index().run(run_id)))
    names = [row.name for row in sorted(known, key=lambda row: row.created, reverse=True)]
    return clean(f"{' and '.join(names[:2])} {key.replace('_', ' ')}.png".strip()).removesuffix(".png")
