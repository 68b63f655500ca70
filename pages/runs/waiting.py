"""A queued run: its place in the queue, and when it is expected to start."""

from __future__ import annotations

from contextlib import suppress

import streamlit as st

from kdcore.files import Damaged
from kdcore.jobs import api
from kdcore.problems import RecipeError
from kdcore.report import format
from kdcore.workspace.workspace import UnknownRun
from pages.shared import estimates, store


def line(run_id: str) -> None:
    """Says how many runs come first, and when it will be this one's turn."""
    here = store.workspace()
    runs = api.queue(here).runs
    before = runs[: runs.index(run_id)] if run_id in runs else []
    if not before:
        st.caption(":material/schedule: Next in the queue.")
        return
    left = [_left(one) for one in before]
    known = [seconds for seconds in left if seconds is not None]
    when = f"; starts in about {format.roughly(sum(known))}" if len(known) == len(left) else ""
    crowded = estimates.busy() if when else ""
    busy = f" ({crowded})" if crowded else ""
    st.caption(f":material/schedule: {format.plural(len(before), 'run')} before this one in the queue{when}{busy}.")


def _left(run_id: str) -> float | None:
    """Seconds until a run that comes first is done; None where that is not known."""
    row = store.index().run(run_id)
    if row is None or row.state != "queued":
        return row.eta_seconds if row else None
    with suppress(RecipeError, Damaged, UnknownRun):
        return estimates.of(api.recipe(store.workspace(), run_id)).seconds
    return None
