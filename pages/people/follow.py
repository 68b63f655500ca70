"""The lecturer's view, which others follow: the page and the choices in its URL, noted in `cache/lecture.json`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from kdcore.files import Damaged, read_json, write_json
from kdcore.workspace import access
from kdcore.workspace.workspace import Workspace
from pages.shared import draft, store

FOLLOW = "follow"  # in the URL of the link, and in the session of who follows
SHARING = "sharing_view"  # in the session of who leads
SEEN = "followed_view"  # in the session: the view that was opened last
EVERY_SECONDS = 2
STALE_SECONDS = 4 * 3600
OWN = (draft.KEY, FOLLOW)  # of the URL, what is one person's own


def asked() -> None:
    """Notes that the URL asks to follow; every page keeps it in mind, so the URL need not."""
    if st.query_params.pop(FOLLOW, None) is not None:
        st.session_state[FOLLOW] = True


def show(pages: Sequence[StreamlitPage], page: StreamlitPage) -> None:
    """Leads or follows, whichever this session does, and says so above the page."""
    if st.session_state.get(SHARING) and not access.to_manage():
        _line("Others can follow your view.", "Stop", SHARING)
        st.fragment(run_every=EVERY_SECONDS)(_lead)(page.url_path)
    elif st.session_state.get(FOLLOW):
        _line("You are following the lecturer's view: the next page they open also opens here.", "Stop", FOLLOW)
        st.fragment(run_every=EVERY_SECONDS)(_follow)(pages)


def _line(words: str, title: str, flag: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f":material/podcasts: {words}", width="content")
        st.button(title, key=f"stop_{flag}", type="tertiary", on_click=st.session_state.pop, args=(flag, None))


def _lead(page: str) -> None:
    query = {name: st.query_params.get_all(name) for name in st.query_params if name not in OWN}
    view = {"page": page, "query": query}
    known = latest()
    if known is None or {name: known[name] for name in view} != view or time.time() - known["at"] > STALE_SECONDS / 2:
        write_json(_path(store.workspace().ensure()), {**view, "at": time.time(), "by": access.who().name})


def _follow(pages: Sequence[StreamlitPage]) -> None:
    view = latest()
    if view is None:
        st.caption("The lecturer is not sharing a view right now.")
        return
    if st.session_state.get(SEEN) != view["at"]:
        st.session_state[SEEN] = view["at"]
        known = next((one for one in pages if one.url_path == view["page"]), None)
        if known:
            st.switch_page(known, query_params=view["query"])


def _path(here: Workspace) -> Path:
    return here.cache / "lecture.json"


def latest() -> dict[str, Any] | None:
    """The view that is shared: `page`, `query`, `at` (Unix seconds), `by`; None without one of the last hours."""
    try:
        view = read_json(_path(store.workspace()), None)
        if time.time() - view["at"] > STALE_SECONDS:
            return None
        query = {str(name): [str(value) for value in values] for name, values in view["query"].items()}
        return {"page": str(view["page"]), "query": query, "at": float(view["at"]), "by": str(view["by"])}
    except (Damaged, KeyError, TypeError, ValueError, AttributeError):
        return None
