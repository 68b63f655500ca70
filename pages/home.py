"""Home: what this is, experiments that start with one click, the latest runs."""

from __future__ import annotations

import streamlit as st

from kdcore import machine
from kdcore.jobs import api
from kdcore.pipeline.index import RunRow
from kdcore.presets import Preset, presets
from kdcore.report import words
from pages.ui import estimates, store, text
from pages.ui.frame import frame

frame()

LATEST = 5


def start(preset: Preset) -> None:
    """Queues the preset and goes to where it can be watched."""
    run_id = api.submit(store.workspace(), preset.recipe, preset.name)
    api.ensure_dispatcher(store.workspace())
    st.switch_page("pages/runs.py", query_params={"run": run_id})


def machine_card(rows: list[RunRow]) -> None:
    about = machine.describe()
    with st.container(border=True):
        st.markdown("**This machine**")
        st.caption(text.plain(about["summary"]))
        busy = [row for row in rows if row.state in store.ACTIVE]
        at_work = sum(row.state in ("running", "stopping") for row in busy)
        st.caption(
            f"Trains on {'the GPU' if about['gpus'] else words.plural(about['threads'], 'thread')}. "
            + (f"{at_work} running, {len(busy) - at_work} in the queue." if busy else "Nothing is in the queue.")
        )


def preset_card(preset: Preset, last: RunRow | None, *, first: bool) -> None:
    with st.container(border=True, height="stretch", gap="small"):
        st.subheader(preset.title, icon=preset.icon, anchor=False)
        st.markdown(preset.summary)
        st.caption(f":material/visibility: {preset.look_for}")
        st.space("stretch")
        seconds = estimates.of(preset.recipe).seconds
        took = f"About {words.duration(seconds)} here" if seconds else "Not timed on this machine yet"
        st.caption(f":material/timer: {took}; {result(last)}")
        if st.button(
            "Start",
            key=f"start_{preset.name}",
            icon=":material/play_arrow:",
            type="primary" if first else "secondary",
            width="stretch",
        ):
            start(preset)


def result(row: RunRow | None) -> str:
    if row is None:
        return "not run yet"
    return (
        f"last time {text.plain(row.variant or '')} {words.percent(row.accuracy)}, "
        f"{words.times(row.smaller)} smaller, {words.times(row.faster)} faster"
    )


def run_line(row: RunRow) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        with st.container(width=120):
            text.badge(row.state)
        st.markdown(f"**{text.plain(row.name)}**", width=260)
        with st.container(width=380):
            if row.state in store.ACTIVE:
                st.progress(row.progress, text=text.plain(row.stage) or "In the queue")
            elif row.accuracy is not None:
                st.caption(result(row).removeprefix("last time "))
            else:
                st.caption(text.plain(row.error or "No result"))
        st.caption(text.ago(row.created), width=120)
        if st.button("Open", key=f"open_{row.id}", type="tertiary", icon=":material/arrow_forward:"):
            st.switch_page("pages/runs.py", query_params={"run": row.id})


rows = store.runs()
store.serve()

words_column, machine_column = st.columns([2.4, 1], gap="large", vertical_alignment="center")
with words_column:
    st.title("Make an image classifier small", anchor=False)
    st.markdown(
        "A large network, the teacher, shows a small one what it knows; then the small one is pruned and quantized. "
        "Every number is measured on the very file that you would ship, with what it cost and how sure it is."
    )
with machine_column:
    machine_card(rows)

st.header("Start with one click", anchor=False)
with st.grid(3, min_column_width=270):
    for place, preset in enumerate(presets()):
        finished = [row for row in rows if row.preset == preset.name and row.state == "done"]
        preset_card(preset, finished[0] if finished else None, first=place == 0)


@st.fragment(run_every=2 if any(row.state in store.ACTIVE for row in rows) else None)
def latest() -> None:
    now = store.runs()
    if not now:
        st.caption("None yet. A run appears here as soon as you start one above, or on the page New experiment.")
    for row in now[:LATEST]:
        run_line(row)


st.header("Latest runs", anchor=False)
latest()
