"""The frame of a lesson: its title, the steps, Back and Next; and which step may be shown."""

from __future__ import annotations

import streamlit as st

from kdcore.lessons import progress
from kdcore.lessons.evidence import Incomplete
from kdcore.lessons.lesson import Lesson
from kdcore.lessons.progress import STEPS, Step
from pages.lessons import answer, ask, run
from pages.lessons.state import TITLES, Standing, go, standing
from pages.shared import store, text

SCREENS = {"result": answer.result, "why": answer.why, "next": answer.go_on}


def show(lesson: Lesson) -> None:
    one = standing(lesson)
    step = _step(one)
    if one.open(step):
        known = progress.reach(store.workspace(), lesson, step) if one.progress.prediction is not None else one.progress
        one = one._replace(progress=known)
    _header(one, step)
    if one.progress.trouble:
        st.warning(
            f"Your saved progress cannot be read ({text.plain(one.progress.trouble)}), so the lesson starts again."
        )
    if step == "predict":
        ask.show(one)
    elif step == "measure":
        run.show(one)
    else:
        with store.legible():
            try:
                SCREENS[step](one)
            except Incomplete as error:
                run.incomplete(one, str(error))


def _step(one: Standing) -> Step:
    """The step that the URL asks for, or the last one that may be opened; the page says why it is another."""
    asked = st.query_params.get("step")
    step = asked if asked in STEPS else one.progress.reached
    if one.open(step):
        return step
    if asked in STEPS:
        missing = "Commit your prediction first." if one.furthest == "predict" else "Measure the answer first."
        st.toast(missing, icon=":material/lock:")
    return one.furthest


def _header(one: Standing, step: Step) -> None:
    lesson, place = one.lesson, STEPS.index(step)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Lessons", key="all_lessons", type="tertiary", icon=":material/arrow_back:", on_click=go, args=(None,),
            help="All lessons",
        )  # fmt: skip
        st.title(f"{lesson.order}. {lesson.title}", anchor=False, width="stretch")
        st.button("Back", key="back", on_click=go, args=(lesson.name, STEPS[max(0, place - 1)]), disabled=place == 0)
        last = place == len(STEPS) - 1
        after = None if last else STEPS[place + 1]
        ready = after is None or one.open(after)
        st.button(
            "Finish" if last else "Next", key="next", type="primary" if ready else "secondary", disabled=not ready,
            on_click=go, args=(None if last else lesson.name, after),
        )  # fmt: skip
    st.markdown(" \u2003 ".join(_mark(one, at, step) for at in STEPS))


def _mark(one: Standing, at: Step, now: Step) -> str:
    words = f"{STEPS.index(at) + 1} {TITLES[at]}"
    if at == now:
        return f":blue[**{words}**]"
    return words if one.open(at) else f":gray[:material/lock: {words}]"
