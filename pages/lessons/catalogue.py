"""The list of lessons: how far each is, and how long it takes."""

from __future__ import annotations

import streamlit as st

from kdcore.data.dataset import NotFetched
from kdcore.lessons import lessons
from kdcore.lessons.lesson import Lesson
from kdcore.report import format
from pages.lessons.state import Standing, go, standing
from pages.shared import estimates, store, text


def show() -> None:
    known = [standing(lesson) for lesson in lessons()]
    first = next((one for one in known if not one.finished), known[0])
    st.title("Lessons", anchor=False)
    started = any(one.progress.prediction is not None for one in known)
    st.markdown(
        "Commit to a prediction; this machine measures; the lesson compares and explains. Nothing is simulated."
        if not started
        else f"{sum(one.finished for one in known)} of {format.plural(len(known), 'lesson')} finished."
    )
    for one in known:
        if one.progress.trouble:
            st.warning(
                f"The saved progress of *{one.lesson.title}* cannot be read ({text.plain(one.progress.trouble)}). "
                "The lesson counts as not started."
            )
    timed = estimates.at_hand(one.lesson.recipe for one in known)
    with st.grid(2, min_column_width=330, gap="small"):
        for one in known:
            _card(one, timed=timed, first=one is first)
    if not timed:
        _until_timed()


def _card(one: Standing, *, timed: bool, first: bool) -> None:
    lesson = one.lesson
    with st.container(border=True, height="stretch", horizontal=True, vertical_alignment="center"):
        with st.container(gap="xxsmall"):
            st.markdown(f"{lesson.icon} **{lesson.order}. {lesson.title}**")
            st.caption(_status(one, timed))
        st.button(
            "Review" if one.finished else "Continue" if one.progress.prediction is not None else "Begin",
            key=f"open_{lesson.name}",
            type="primary" if first else "secondary",
            on_click=go,
            args=(lesson.name, one.progress.reached),
        )


def _status(one: Standing, timed: bool) -> str:
    if one.finished:
        return f":green[:material/check_circle:] Finished {text.ago(one.progress.committed)}"
    if one.measured:
        what = "compare it with your prediction" if one.progress.prediction is not None else "your answer is next"
        return f":material/query_stats: Measured: {what}"
    if one.run and one.run.state in store.ACTIVE:
        started = f"Measuring, {format.percent(one.run.progress)}" if one.run.state != "queued" else "In the queue"
        return f":blue[:material/play_circle:] {started}"
    before = ":material/lock: Prediction committed, " if one.progress.prediction is not None else ":material/timer: "
    return before + takes(one.lesson, timed)


def takes(lesson: Lesson, timed: bool = True) -> str:
    """The time that a lesson's run will take here, in words."""
    if not timed:
        return "working out how long it takes here"
    try:
        seconds = estimates.of(lesson.recipe).seconds
    except NotFetched as error:
        return f"needs {text.plain(error.title)}"
    return f"about {format.roughly(seconds)} here" if seconds else "not timed on this machine yet"


@st.fragment(run_every=1)
def _until_timed() -> None:
    if estimates.at_hand(lesson.recipe for lesson in lessons()):
        st.rerun()
