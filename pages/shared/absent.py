"""Runs that a link names and that are not here, or have nothing to show: said so, instead of showing another run."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import streamlit as st

from kdcore.jobs import api
from kdcore.workspace.access import Refused
from kdcore.workspace.workspace import UnknownRun
from pages.shared import people, store
from pages.shared.text import plain

DELETED = "deleted_run"  # in the session: the run that was deleted last, and its name


def report(asked: Iterable[str], known: Collection[str]) -> None:
    """Says what became of each run that the URL names and this page cannot show. Where it names no other, the page
    ends there: it does not show another run in its place."""
    asked = list(asked)
    absent = [run_id for run_id in asked if run_id not in known]
    for run_id in absent:
        _say(run_id)
    if absent and len(absent) == len(asked):
        if st.button("Show the newest run instead", key="newest", icon=":material/history:"):
            st.query_params.clear()
            st.rerun()
        st.stop()


def _say(run_id: str) -> None:
    row = store.index().run(run_id)
    if row and row.damaged:
        st.warning(f"{plain(row.name)} is damaged and left out: {plain(row.error or '')}. See the page Runs.")
    elif row:
        st.info(f"{plain(row.name)} has no results yet. Follow it on the page Runs.")
    elif run_id in store.workspace().trashed():
        with st.container(horizontal=True, vertical_alignment="center"):
            st.warning(f"Run {run_id} is in the trash.", width="stretch")
            _button(run_id, "Restore")
    else:
        st.warning(f"Run {plain(run_id[:40])} is not in this workspace.")


def undo() -> None:
    """After a deletion: the button that takes it back."""
    run_id, name = st.session_state.get(DELETED, ("", ""))
    if run_id in store.workspace().trashed():
        with st.container(horizontal=True, vertical_alignment="center"):
            st.info(f"{plain(name)} is in the trash until the clean-up on the page System.", width="stretch")
            _button(run_id, "Undo")


def _button(run_id: str, title: str) -> None:
    st.button(
        title, key=f"restore_{run_id}", icon=":material/restore_from_trash:", on_click=restore, args=(run_id,),
        **people.unless(api.may_restore(store.workspace(), run_id)),
    )  # fmt: skip


def restore(run_id: str) -> None:
    """Takes a run back from the trash; a toast says where that cannot be done."""
    try:
        api.restore(store.workspace(), run_id)
    except (UnknownRun, Refused) as error:
        st.toast(plain(str(error)), icon=":material/error:")
