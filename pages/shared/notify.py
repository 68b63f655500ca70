"""The browser's own notification that a run has ended, also while another tab or program is in front."""

from __future__ import annotations

import time
from functools import partial

import streamlit as st

from kdcore.report.headline import headline
from kdcore.workspace.index import RunRow
from kdcore.workspace.state import SETTLED
from pages.shared import store, text

WATCHED = "watched_runs"  # in the session: the ids of the runs whose end somebody wants to hear of
BLOCKED = "notifications_blocked"  # in the session: the browser refuses
EVERY_SECONDS = 3
KEPT_SECONDS = 30  # that a run stays watched after its end: the page may be drawn again before the browser has heard

ASK_CSS = """
button {
  font: inherit; min-height: 2.5rem; padding: 0.25rem 0.75rem; cursor: pointer; color: var(--st-text-color);
  background: var(--st-background-color); border: 1px solid var(--st-border-color);
  border-radius: var(--st-button-radius); white-space: nowrap;
}
button:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 2px }
"""

# A browser asks for permission only while a click of its own page is being answered.
ASK_JS = """
export default function ({ parentElement, setTriggerValue }) {
  parentElement.querySelector("button").onclick = async () => {
    const able = "Notification" in window
    setTriggerValue("permission", able ? await Notification.requestPermission() : "denied")
  }
}
"""

TELL_JS = """
const shown = new Set()

export default function ({ data }) {
  for (const { id, title, body } of data.ended) {
    if (shown.has(id)) continue
    shown.add(id)
    try {
      const notice = new Notification(title, { body, tag: id })
      notice.onclick = () => window.focus()
    } catch (error) {
      console.warn(error)  // a phone's browser, which leaves notifications to service workers
    }
  }
}
"""

_ASK = st.components.v2.component("kdcore_ask", html='<button type="button">Notify me</button>', css=ASK_CSS, js=ASK_JS)
_TELL = st.components.v2.component("kdcore_tell", html="<span></span>", js=TELL_JS)


def offer(row: RunRow) -> None:
    """The button that asks the browser for permission, and then what came of it."""
    if st.session_state.get(BLOCKED):
        st.caption(":material/notifications_off: This browser blocks notifications.", width="content")
    elif row.id in st.session_state.get(WATCHED, ()):
        st.button(
            "Notifying", key="unwatch", icon=":material/notifications_active:", on_click=_forget, args=(row.id,),
            help="This browser notifies you when the run ends, as long as the dashboard is open. Press to stop.",
        )  # fmt: skip
    else:
        _ASK(key=f"ask_{row.id}", on_permission_change=partial(_answered, row.id), width="content", height="content")


def _answered(run_id: str) -> None:
    if st.session_state[f"ask_{run_id}"].permission == "granted":
        st.session_state[WATCHED] = {*st.session_state.get(WATCHED, ()), run_id}
    else:
        st.session_state[BLOCKED] = True


def _forget(run_id: str) -> None:
    st.session_state[WATCHED] = {*st.session_state.get(WATCHED, ())} - {run_id}


def watch() -> None:
    """Follows the watched runs, on whichever page the dashboard shows."""
    if st.session_state.get(WATCHED):
        st.fragment(run_every=EVERY_SECONDS)(_follow)()


def _follow() -> None:
    rows = [row for run_id in st.session_state.get(WATCHED, ()) if (row := store.run(run_id))]
    ended = [row for row in rows if row.state in SETTLED]
    for row in ended:
        if time.time() - (row.finished or 0) > KEPT_SECONDS:
            _forget(row.id)
    shown = [
        {
            "id": f"{row.id} {row.finished}",
            "title": f"{row.name}: {text.STATES[row.condition][0]}",
            "body": headline(row),
        }
        for row in ended
    ]
    _TELL(key="tell", data={"ended": shown})
