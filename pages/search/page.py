"""Search: one search as it goes, its winner beside the control, and the winning Recipe to take."""

from __future__ import annotations

import streamlit as st

from kdcore.workspace import shapes
from kdcore.workspace.index import RunRow
from pages.runs import actions, detail
from pages.search import outcome, progress
from pages.shared import links, store, text

rows = store.runs()
store.serve(rows)
searches = {row.id: row for row in rows if row.preset == "search" and not row.damaged}

st.title("Search", anchor=False)
if not searches:
    text.empty(
        "No search yet",
        "A search tries candidates within your limits on size, latency and lost accuracy. Watch them here and take the "
        "best one.",
        "Choose limits on New experiment",
        "new/page.py",
        ":material/manage_search:",
    )
    st.stop()

head = st.container(horizontal=True, vertical_alignment="bottom")
with head:
    chosen = searches[links.run("Search", searches)]
active = chosen.state in store.ACTIVE
folder = store.workspace().run(chosen.id)


@st.fragment(run_every=2 if active else None)
def live() -> None:
    now: RunRow | None = store.index().run(chosen.id) if active else chosen
    if now is None or now.state != chosen.state:
        st.rerun()
    detail.headline(now)
    with store.legible():
        progress.show(folder, shapes.search(folder))


with head:
    actions.bar(chosen)
live()
if not active:
    with store.legible():
        if found := shapes.search(folder):
            outcome.show(chosen, found)
