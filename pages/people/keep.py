"""A browser stays signed in: it is handed a cookie that no script can read. Without cookies a reload signs out."""

from __future__ import annotations

import streamlit as st

from pages.people.cookie import ADDRESS, COOKIE, HEADER
from pages.shared.people import KEPT, SIGNED_OUT, TOKEN

# `data.token`: what to keep, or nothing to forget it.
JS = """
export default async function ({ data, setTriggerValue }) {
  try {
    await fetch(data.address, { method: "POST", headers: { [data.header]: data.token } })
  } catch (error) {
    console.warn(error)
  }
  setTriggerValue("done", true)
}
"""

_KEEP = st.components.v2.component("kdcore_keep", html="<span></span>", js=JS)


def browser() -> None:
    """Tells the browser once who it is, or that it is nobody any more."""
    state = st.session_state
    wanted = state.get(TOKEN, "") if not state.get(SIGNED_OUT) else ""
    if state.get(KEPT, st.context.cookies.get(COOKIE, "")) != wanted:
        data = {"address": ADDRESS, "header": HEADER, "token": wanted}
        _KEEP(key="keep_person", data=data, on_done_change=lambda: state.update({KEPT: wanted}))
