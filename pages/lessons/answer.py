"""What was measured beside what was predicted; why; and what to try next."""

from __future__ import annotations

import streamlit as st

from kdcore.lessons.beside import beside
from kdcore.lessons.evidence import Evidence
from kdcore.lessons.handout import handout, measured
from kdcore.lessons.lesson import Lesson
from kdcore.lessons.predictions import Answer, Choice, Matching, Value
from kdcore.recipe import RecipeError
from kdcore.report.glossary import explained
from pages.lessons import commitment, hands_on
from pages.lessons.state import Standing, evidence
from pages.shared import charts, draft
from pages.shared.text import plain

TALLEST = 370  # pixels of the chart beside the answer, so that the screen needs no scrolling

STRUT = r"\rule{0em}{1.7em}"  # room above a fraction, whose top the browser would cut off


def result(one: Standing) -> None:
    """The measured answer beside the prediction."""
    assert one.run
    found, asked, predicted = evidence(one.run), one.lesson.prediction, one.progress.prediction
    assert predicted is not None
    answer = one.lesson.measure(found)
    score = asked.score(predicted, answer)
    left, right = st.columns([1, 1.15], gap="large")
    with left:
        if isinstance(asked, Matching):
            st.table(_beside(asked, predicted, answer), border="horizontal")
        elif isinstance(asked, Choice):
            st.markdown(f"Your prediction: **{asked.words(predicted)}**")
            st.markdown(f"Measured: **{measured(asked, answer)}**")
        elif chart := beside(asked, predicted, answer):
            charts.show(chart, key="beside")
        icon = ":green[:material/check_circle:]" if score.hit else ":orange[:material/adjust:]"
        st.markdown(f"{icon} **{score.words}**")
        st.markdown(explained(answer.verdict))
    with right, st.container(border=True):
        chart = one.lesson.figures(found)[0]
        chart.update_layout(height=min(chart.layout.height, TALLEST))
        charts.show(chart, key="figure")


def _beside(asked: Matching, predicted: Value, answer: Answer) -> dict[str, str]:
    """For each case what it is, and what it was taken for where that is something else."""
    assert isinstance(predicted, tuple)
    assert isinstance(answer.value, tuple)
    made = {}
    for case, mine, true in zip(asked.cases, predicted, answer.value, strict=True):
        said = ":green[:material/check:]" if mine == true else f"(you said: {plain(asked.options[str(mine)])})"
        made[case] = f"{plain(asked.options[str(true)])} {said}"
    return made


def why(one: Standing) -> None:
    """The explanation with its formula, and something to play with."""
    assert one.run
    found, lesson = evidence(one.run), one.lesson
    st.latex(STRUT + lesson.formula)
    left, right = st.columns([1.25, 1], gap="medium")
    with left:
        st.markdown(explained(lesson.explain(found)))
        sources = "; ".join(f"{one.authors}: [{one.title}]({one.url})" for one in lesson.sources)
        st.caption(f":material/menu_book: {sources}")
    with right, st.container(border=True):
        if lesson.table:
            shown, numbers = st.tabs(["Try it" if lesson.hands_on else "Chart", "Numbers"])
            numbers.markdown(lesson.table(found))
            with shown:
                _beside_explanation(lesson, found)
        else:
            _beside_explanation(lesson, found)


def _beside_explanation(lesson: Lesson, found: Evidence) -> None:
    """Something to play with, or the lesson's last chart."""
    if lesson.hands_on:
        hands_on.PARTS[lesson.hands_on](found)
        return
    chart = lesson.figures(found)[-1]
    chart.update_layout(height=255 if lesson.table else 300)
    charts.show(chart, key="figure_why")


def go_on(one: Standing) -> None:
    """What to try next, the handout, and the reset."""
    assert one.run
    left, right = st.columns(2, gap="large")
    with left, st.container(border=True, height="stretch"):
        st.subheader("Try next", icon=":material/science:", anchor=False)
        st.markdown(one.lesson.next.words)
        if st.button("Open in the form", key="try_next", type="primary", icon=":material/edit:"):
            _in_form(one.lesson)
        if st.button("Open this run in Compare", key="to_compare", type="tertiary", icon=":material/arrow_forward:"):
            st.switch_page("compare/page.py", query_params={"runs": one.run.id})
    with right, st.container(border=True, height="stretch"):
        st.subheader("Hand in", icon=":material/assignment_turned_in:", anchor=False)
        st.markdown("One HTML page with your prediction, the measurement and the figures. It opens without a network.")
        st.download_button(
            "Download the page", lambda: handout(one.lesson, one.progress, evidence(one.run)),  # type: ignore[arg-type]
            file_name=f"lesson-{one.lesson.order}-{one.lesson.name}.html", mime="text/html", key="handout",
            icon=":material/download:", on_click="ignore",
        )  # fmt: skip
        commitment.reset(one.lesson)


def _in_form(lesson: Lesson) -> None:
    try:
        draft.load(lesson.next_recipe, f"After: {lesson.title}")
    except RecipeError as error:
        st.error(str(error))
        return
    st.switch_page("new/page.py")
