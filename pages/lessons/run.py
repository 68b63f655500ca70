"""The run that answers a lesson: started here or reused, with its progress."""

from __future__ import annotations

import streamlit as st

from kdcore.lessons import progress
from kdcore.problems import RecipeError
from kdcore.report import format
from kdcore.workspace import access
from kdcore.workspace.index import RunRow
from pages.lessons import commitment
from pages.lessons.catalogue import takes
from pages.lessons.state import Standing, go
from pages.shared import estimates, measuring, people, store
from pages.shared.text import plain


def show(one: Standing) -> None:
    left, right = st.columns([1, 1.15], gap="large")
    with left, st.container(border=True):
        commitment.show(one)
    with right:
        panel(one)


def panel(one: Standing) -> None:
    """Starting the run, its progress, its end."""
    st.subheader("Measurement", anchor=False)
    run = one.run
    if run is None:
        _start(one)
    elif run.state in store.ACTIVE:
        measuring.progress(run, _draw)
        _cancel(run)
    elif run.state == "done":
        _done(one, run)
    else:
        _ended(run)


def _start(one: Standing) -> None:
    if one.progress.run:
        st.warning("The run of this lesson was deleted. You can measure again.")
    timed = estimates.at_hand([one.lesson.recipe])
    st.markdown(
        f"This machine now trains and measures: {takes(one.lesson, timed)}. Models that exist already are reused, and "
        "the run continues if you close this page."
    )
    st.button(
        "Measure it now", key="measure", type="primary", icon=":material/play_arrow:", on_click=_submit, args=(one,),
        **people.unless(access.to_launch()),
    )  # fmt: skip


def _submit(one: Standing) -> None:
    here = store.workspace()
    try:
        run_id = progress.start(here, one.lesson)
    except RecipeError as error:
        st.toast(plain(str(error)), icon=":material/error:")
        return
    found = store.index().run(run_id)
    if found and found.state == "done" and one.progress.prediction is not None:
        go(one.lesson.name, "result")
        return
    store.serve(store.runs())


def _draw(now: RunRow) -> None:
    left = f", {format.left(now.eta_seconds)}" if now.eta_seconds is not None else ""
    st.progress(now.progress, text=plain(f"{now.stage or 'Waiting to start'}{left}"))
    st.caption("You may leave this page: the run continues, and your prediction is saved.")


def _cancel(run: RunRow) -> None:
    with st.container(horizontal=True):
        st.button(
            "Cancel", key="cancel", icon=":material/cancel:", on_click=store.ask, args=(run.id, "cancel"),
            **people.unless(access.to_change(run.owner)),
        )  # fmt: skip
        if st.button("Open in Runs", key="to_runs", type="tertiary", icon=":material/arrow_forward:"):
            st.switch_page("runs/page.py", query_params={"run": run.id})


def _done(one: Standing, run: RunRow) -> None:
    took = f", took {format.duration(run.finished - run.started)}" if run.started and run.finished else ""
    st.success(f"Measured{took}.", icon=":material/check_circle:")
    st.button(
        "Compare with your prediction", key="see", type="primary", icon=":material/query_stats:", on_click=go,
        args=(one.lesson.name, "result"),
    )  # fmt: skip


def _ended(run: RunRow) -> None:
    """Failed, cancelled or damaged."""
    if run.state == "cancelled":
        st.info("The run was cancelled. Finished models are kept.")
    else:
        st.error(plain(run.error or ""), title="The run did not finish")
    st.button(
        "Run again", key="again", type="primary", icon=":material/replay:", on_click=store.ask, args=(run.id, "run"),
        **people.unless(access.to_change(run.owner), help="Continues where it stopped."),
    )  # fmt: skip


def incomplete(one: Standing, reason: str) -> None:
    """The run has ended, but something that the lesson needs is gone."""
    st.warning(plain(reason))
    if one.run:
        st.button(
            "Run again", key="again", type="primary", icon=":material/replay:", on_click=_again, args=(one,),
            **people.unless(access.to_change(one.run.owner)),
        )  # fmt: skip


def _again(one: Standing) -> None:
    assert one.run
    store.ask(one.run.id, "run")
    go(one.lesson.name, "measure")
