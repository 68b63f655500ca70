"""The charts that a single run has beside accuracy against cost."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go
import streamlit as st

from kdcore.figures.one_run import leads, one_run
from pages.compare import verdicts
from pages.shared import charts, store
from pages.shared.text import plain

Row = dict[str, Any]
Figures = dict[str, go.Figure]
KINDS = ("methods", "sweep", "recall", "waterfall")  # how the charts' names begin


def of_one_run(rows: list[Row], run_id: str, first: str) -> tuple[Figures, Figures]:
    """Several methods, a sweep with the recall of a hidden class, bytes step by step: those that always stand before
    accuracy against cost, and the others, which are views of their own."""
    figures = one_run(rows, store.plan(run_id), verdicts.of(run_id), store.report, first)
    own = {name: figure for name, figure in figures.items() if leads(name, first)}
    return own, {name: figure for name, figure in figures.items() if name not in own}


def of_kind(figures: Figures, kind: str) -> Figures:
    """Those whose names begin so."""
    return {name: figure for name, figure in figures.items() if kind in KINDS and name.startswith(kind)}


def draw(figures: Figures) -> None:
    """Two beside each other; the intervals of many methods, and a chart that is alone, have the whole width."""
    narrow = [name for name in figures if not name.startswith("methods_")]
    wide = {name: figure for name, figure in figures.items() if name not in narrow or len(narrow) == 1}
    for name, figure in wide.items():
        with st.container(border=True):
            charts.show(figure, key=name)
    drawn = [(name, figure) for name, figure in figures.items() if name not in wide]
    for pair in (drawn[start : start + 2] for start in range(0, len(drawn), 2)):
        for column, (name, figure) in zip(st.columns(2, gap="medium"), pair, strict=False):
            with column, st.container(border=True, height="stretch"):
                charts.show(figure, key=name)


def notes(rows: list[Row]) -> None:
    """What the steps do not do."""
    for note in dict.fromkeys(row["note"] for row in rows if row["note"]):
        st.caption(f":material/info: {plain(note)}")
