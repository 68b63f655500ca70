"""The charts of the comparison, and notes on how it was timed."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go
import streamlit as st

from kdcore.figures.frontier import Baseline, against_latency, against_size
from kdcore.figures.one_run import leads, one_run
from kdcore.jobs import api
from kdcore.report.comparison import BATCH
from kdcore.report.sessions import gpu_note, turned
from kdcore.workspace.index import RunRow
from pages.compare import table, verdicts
from pages.shared import charts, measuring, store
from pages.shared.text import plain

Row = dict[str, Any]
Figures = dict[str, go.Figure]


def against_cost(rows: list[Row], names: dict[str, str], baseline: Baseline) -> None:
    """Accuracy against size, and against latency where one session timed the rows. Clicking a point selects its row."""
    several = names if len(names) > 1 else None
    left, right = st.columns(2, gap="medium")
    with left, st.container(border=True, height="stretch"):
        charts.show(
            against_size(rows, several, baseline), key="size_chart", selection_mode="points",
            on_select=lambda: table.select(rows, "size_chart"),
        )  # fmt: skip
    with right, st.container(border=True, height="stretch"):
        timed = [row for row in rows if row["session"]]
        sessions = {row["session"] for row in timed}
        if not timed:
            st.caption("These models were not timed, so there is no chart of accuracy against latency.")
        elif len(sessions) > 1:
            st.caption("Each run was timed in its own session, and times of different sessions are not comparable.")
        else:
            batch = st.segmented_control(
                "Batch size", [1, BATCH], default=BATCH, required=True, key="batch", persist_state="session",
                format_func=lambda size: f"Batch size {size}", label_visibility="collapsed",
            )  # fmt: skip
            charts.show(
                against_latency(timed, batch, several, baseline), key="time_chart", selection_mode="points",
                on_select=lambda: table.select(rows, "time_chart"),
            )  # fmt: skip


def session_note(rows: list[Row], run_ids: list[str]) -> None:
    """Where and how the times were taken, and the button that measures the runs together, or again."""
    sessions = list({row["session"] for row in rows if row["session"]})
    notes = list(dict.fromkeys(part for row in rows for part in row["latency_note"].split("; ") if part))
    if notes:
        st.warning(plain(" ".join(f"{note[:1].upper()}{note[1:]}." for note in notes)), icon=":material/timer:")
    if len(sessions) == 1:
        session = store.document(store.workspace().sessions / f"{sessions[0]}.json")
        named = next((row["variant"] for row in rows if row["model_key"] == session["reference"]), "reference")
        st.caption(
            f":material/timer: One timing session on {plain(session['machine']['summary'])}, one thread, "
            f"all variants interleaved. Speed-ups are relative within this session; noise is estimated from a "
            f"duplicate ({plain(named)})."
        )
        variants = {row["model_key"]: row["variant"] for row in rows}
        if note := turned(session, variants):
            st.caption(f":material/swap_vert: {plain(note)}")
        if note := gpu_note(session, variants):
            st.caption(f":material/timer: {plain(note)}")
    waiting = measuring.latest("bench", lambda runs: set(runs) == set(run_ids))
    if waiting and waiting.state in store.ACTIVE:
        measuring.progress(waiting, _draw)
    elif notes or len(sessions) != 1 or any(row["session"] is None and row["size_bytes"] for row in rows):
        if waiting and waiting.state == "failed":
            st.error(plain(waiting.error or ""), title="Timing failed")
        st.button(
            "Measure together" if len(run_ids) > 1 else "Measure again",
            icon=":material/timer:",
            key="bench",
            on_click=measuring.queue,
            args=(api.bench, run_ids),
            help="Queues one timing session over all variants of these runs; takes about half a minute.",
        )


def _draw(now: RunRow) -> None:
    st.progress(now.progress, text="Queued" if now.state == "queued" else "Timing all variants in one session")


def of_one_run(rows: list[Row], run_id: str, first: str) -> tuple[Figures, Figures]:
    """The charts of a single run: its own ones, which come before accuracy against cost, and the others."""
    figures = one_run(rows, store.plan(run_id), verdicts.of(run_id), store.report, first)
    own = {name: figure for name, figure in figures.items() if leads(name, first)}
    return own, {name: figure for name, figure in figures.items() if name not in own}


def draw(figures: Figures) -> None:
    """Two beside each other; the intervals of many methods, and a chart that is alone, have the whole width."""
    wide = {name: figure for name, figure in figures.items() if name.startswith("methods_") or len(figures) == 1}
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
