"""The question and the reader's prediction, which is committed before anything measured is shown."""

from __future__ import annotations

import streamlit as st

from kdcore.lessons import progress
from kdcore.lessons.beside import beside
from kdcore.lessons.lesson import Symptoms
from kdcore.lessons.predictions import BadPrediction, Choice, Curve, Matching, Number, Value
from kdcore.lessons.progress import AlreadyCommitted
from kdcore.report.glossary import explained
from kdcore.workspace import access
from pages.lessons import commitment, run
from pages.lessons.state import Standing, evidence, go
from pages.shared import charts, people, store


def show(one: Standing) -> None:
    symptoms = one.lesson.symptoms
    left, right = st.columns([1.7, 1] if symptoms and one.measured else [1, 1.15], gap="large")
    with left:
        if not symptoms or not one.measured:
            st.subheader("Question", anchor=False)
        st.markdown(explained(one.lesson.question))
        if symptoms and one.run and one.measured:
            with store.legible():
                _symptoms(symptoms(evidence(one.run)))
    with right, st.container(border=True):
        if one.progress.prediction is not None:
            commitment.show(one)
            commitment.reset(one.lesson)
        elif symptoms and not one.measured:
            run.panel(one)
        else:
            _ask(one)


def _symptoms(found: Symptoms) -> None:
    table, figure = st.tabs(["Symptoms", "Loss curves"])
    table.markdown(found.table)
    with figure:
        charts.show(found.figure, key="symptoms")


def _ask(one: Standing) -> None:
    st.subheader("Your prediction", anchor=False)
    value = _widget(one)
    pressed = st.button(
        "Commit prediction", key="commit", type="primary", icon=":material/lock:",
        **people.unless(access.to_launch(), disabled=value is None, help="You cannot change it afterwards."),
    )  # fmt: skip
    if pressed and value is not None:
        try:
            progress.commit(store.workspace(), one.lesson, value)
        except (BadPrediction, AlreadyCommitted, access.Refused) as error:
            st.toast(str(error), icon=":material/error:")
        go(one.lesson.name, "result" if one.measured else "measure")
        st.rerun()
    st.caption("You see the answer only after you commit.")


def _widget(one: Standing) -> Value | None:
    asked, key = one.lesson.prediction, f"guess_{one.lesson.name}"
    match asked:
        case Number():
            start = float(min(max(0, asked.low), asked.high))
            return st.slider(
                f"{asked.label} ({asked.unit})",
                float(asked.low),
                float(asked.high),
                start,
                float(asked.step),
                "%g",
                key=key,
            )
        case Choice():
            return st.radio(
                asked.label, list(asked.options), index=None, format_func=asked.options.__getitem__, key=key
            )
        case Curve():
            return _curve(asked, key)
        case Matching():
            return _matching(asked, key)


def _curve(asked: Curve, key: str) -> tuple[float, ...]:
    """A slider for each point, and the curve that they make."""
    middle = asked.low + round((asked.high - asked.low) / 2 / asked.step) * asked.step
    width = min(150, 450 // len(asked.x))
    with st.container(horizontal=True, gap="small"):
        values = tuple(
            st.slider(
                asked.point(x), float(asked.low), float(asked.high), float(middle), float(asked.step), "%g",
                key=f"{key}_{x:g}", width=width,
            )
            for x in asked.x
        )  # fmt: skip
    chart = beside(asked, values, None)
    if chart:
        chart.update_layout(height=200, showlegend=False)
        charts.show(chart, key=f"{key}_chart")
    return values


def _matching(asked: Matching, key: str) -> tuple[str, ...] | None:
    """A list of all options for each case; None until every case has one."""
    named = [one for case in asked.cases if (one := _option(asked, case, f"{key}_{case}")) is not None]
    return tuple(named) if len(named) == len(asked.cases) else None


def _option(asked: Matching, case: str, key: str) -> str | None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{case}**", width=20)
        return st.selectbox(
            f"Student {case}", list(asked.options), index=None, format_func=asked.options.__getitem__, key=key,
            placeholder="Choose a fault", label_visibility="collapsed",
        )  # fmt: skip
