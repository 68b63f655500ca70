"""Measurements that a page queues about models that are there, and how far they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from kdcore.problems import RecipeError
from kdcore.workspace.index import RunRow
from pages.shared import store
from pages.shared.text import plain


def queue(submit: Callable[..., Any], *asked: Any) -> None:
    """Submits what `submit(workspace, *asked)` queues and makes sure that it runs; says why where not."""
    here = store.workspace()
    try:
        submit(here, *asked)
    except RecipeError as error:
        st.toast(plain(str(error)), icon=":material/error:")
        return
    store.dispatch()


def latest(kind: str, fits: Callable[[Any], bool]) -> RunRow | None:
    """The latest run of this kind (one of `KINDS`) that was asked for what `fits`."""
    for row in store.index().runs():  # which the page has just brought up to date
        if row.preset == kind and not row.damaged:
            document = store.document(store.workspace().runs / row.id / "recipe.json") or {}
            if kind in document and fits(document[kind]):
                return row
    return None


def progress(waiting: RunRow, draw: Callable[[RunRow], None]) -> None:
    """Draws the run as it is now, once a second; the page is drawn again when it is done."""

    @st.fragment(run_every=1)
    def bar() -> None:
        now = store.run(waiting.id)
        if now is None or now.state not in store.ACTIVE:
            st.rerun()
        draw(now)

    bar()
