"""Runs: all of them, and the chosen one as it goes: stages, curves, log, recipe, notes."""

from __future__ import annotations

import streamlit as st

from kdcore.workspace.shapes import KINDS
from pages.runs import actions, detail, importing, table
from pages.shared import absent, links, store, text

rows = store.runs()
store.serve(rows)

with st.container(horizontal=True, vertical_alignment="center"):
    st.title("Runs", anchor=False)
    importing.offer()
absent.undo()
if not rows:
    text.empty(
        "No runs yet",
        "Here you will watch experiments: their stages, live learning curves and results.",
        "Start one on the home page",
        "home/page.py",
        ":material/list_alt:",
    )
    st.stop()

known = {row.id: row for row in rows}
asked = next(iter(links.runs_asked()), "")
if asked:
    absent.report([asked], known)
chosen = known.get(asked, rows[0])
busy = any(row.state in store.ACTIVE for row in rows)
active = chosen.state in store.ACTIVE


@st.fragment(run_every=2 if busy else None)
def live_table() -> None:
    picked = table.show(store.runs() if busy else rows, chosen.id)
    if picked and picked != chosen.id:
        links.put("run", picked)
        st.rerun()


@st.fragment(run_every=1.5 if active else None)
def progress() -> None:
    now = store.run(chosen.id) if active else chosen
    if now is None or now.state != chosen.state:
        st.rerun()
    detail.headline(now)
    detail.stages(now)


box = st.expander("All runs", expanded=not active, key="all_runs", on_change="rerun")  # folded, the curve fits
if box.open:
    with box:
        live_table()
st.header(text.plain(chosen.name), anchor=False)
actions.bar(chosen)
if chosen.damaged:
    detail.damage(chosen)
    st.stop()
stages_column, curves_column = st.columns([1, 2], gap="medium")
with stages_column:
    progress()
with curves_column:
    if chosen.preset == "search":
        if st.button("Open in Search", key="see", icon=":material/manage_search:"):
            st.switch_page("search/page.py", query_params={"run": chosen.id})
        st.caption("The page Search shows the candidates as they are trained, and the result.")
    elif (kind := KINDS.get(chosen.preset or "")) and not kind.makes:
        st.caption("This run measures models of other runs and trains none, so it has no curves.")
    else:
        detail.curves(chosen, active)
detail.tabs(chosen, active)
