"""The table of all runs: filter, sort, select."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from kdcore.report import format
from kdcore.report.comparison import BATCH
from kdcore.workspace.index import RunRow
from pages.shared import people
from pages.shared.text import STATES


def show(rows: list[RunRow], chosen: str) -> str | None:
    """The table; returns the id of the run that somebody has just selected in it."""
    with st.container(horizontal=True, vertical_alignment="center"):
        sought = st.text_input(
            "Search", type="search", live="300ms", key="runs_search", placeholder="Name, preset or tag",
            label_visibility="collapsed", width=280, persist_state="session",
        )  # fmt: skip
        present = [state for state in STATES if any(row.condition == state for row in rows)]
        states = st.pills(
            "State", present, selection_mode="multi", key="runs_states", format_func=lambda state: STATES[state][0],
            label_visibility="collapsed", persist_state="session",
        )  # fmt: skip
    shown = [row for row in rows if matches(row, sought, states)]
    if not shown:
        st.caption("No run matches the filter.")
        return None
    # The key holds the ids: when they change, a selection by position would mean other runs.
    place = next((index for index, row in enumerate(shown) if row.id == chosen), None)
    frame = _frame(shown)
    if (known := people.names()) and any(row.owner for row in shown):
        frame.insert(1, "owner", [known.get(row.owner or "", "") for row in shown])
    event = st.dataframe(
        frame,
        key=f"runs_{hash(tuple(row.id for row in shown))}",
        column_config=COLUMNS,
        column_order=[name for name in frame if _worth(name, frame)],
        hide_index=True,
        height=min(38 + 35 * len(shown), 320),
        on_select="rerun",
        selection_mode="single-row",
        placeholder="",
        selection_default={"selection": {"rows": [] if place is None else [place]}},
        alt="All runs, newest first",
    )
    return shown[event.selection.rows[0]].id if event.selection.rows else None


def _worth(name: str, frame: pd.DataFrame) -> bool:
    """Whether a column has something to show."""
    if name in ("score", "bits"):
        return bool(frame[name].notna().any()) or (name == "score" and bool(frame["bits"].isna().all()))
    return name not in ("stage", "tags") or bool(frame[name].astype(bool).any())


def matches(row: RunRow, sought: str, states: list[str]) -> bool:
    """Whether the row is in one of the states (none chosen: all) and each word occurs in its name, preset or tags."""
    words = f"{row.name} {row.preset or ''} {' '.join(row.tags)} {row.id}".casefold()
    return (not states or row.condition in states) and all(word in words for word in (sought or "").casefold().split())


COLUMNS = {
    "name": st.column_config.TextColumn("Name", pinned=True, width="medium"),
    "owner": st.column_config.TextColumn("Owner", width="small"),
    "state": st.column_config.TextColumn("State", width="small"),
    "progress": st.column_config.ProgressColumn(
        "Progress", min_value=0, max_value=100, format="%.0f %%", width="small"
    ),
    "stage": st.column_config.TextColumn("Stage", width=170),
    "variant": st.column_config.TextColumn(
        "Last variant",
        width=190,
        help="After the last step; the next columns describe it. In a sweep it is the last value's, not the best: the "
        "page Compare has them all.",
    ),
    "score": st.column_config.NumberColumn(
        "Test accuracy",
        format="%.1f %%",
        width="small",
        help="Mean average precision (mAP) for examples with several labels.",
    ),
    "bits": st.column_config.NumberColumn(
        "Bits/character", format="%.3f", width="small", help="Of a language model. Lower is better."
    ),
    "smaller": st.column_config.NumberColumn(
        "Smaller", format="%.1f×", width="small", help="File size relative to its teacher's."
    ),
    "faster": st.column_config.NumberColumn(
        f"Throughput (batch {BATCH})",
        format="%.1f×",
        width=160,
        help="Relative to its teacher's. Compare says where the "
        "difference is within the noise, or the machine was busy.",
    ),
    "started": st.column_config.DatetimeColumn("Started", format="D MMM, HH:mm"),
    "tags": st.column_config.ListColumn("Tags", width="small"),
}


def _frame(rows: list[RunRow]) -> pd.DataFrame:
    frame = pd.DataFrame(
        {
            "name": [row.name for row in rows],
            "state": [format.state(STATES[row.condition][0], row.silent_since, row.job) for row in rows],
            "progress": [100 * row.progress for row in rows],
            "stage": [row.stage for row in rows],
            "variant": [row.variant for row in rows],
            "score": [None if row.score is None or row.bits is not None else 100 * row.score for row in rows],
            "bits": [row.bits for row in rows],
            "smaller": [row.smaller for row in rows],
            "faster": [row.faster for row in rows],
            "started": pd.to_datetime([row.started or row.created for row in rows], unit="s", utc=True),
            "tags": [list(row.tags) for row in rows],
        }
    )
    return frame.astype({"score": float, "bits": float, "smaller": float, "faster": float, "variant": object})
