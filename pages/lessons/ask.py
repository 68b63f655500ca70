"""The question and the reader's prediction, which is committed before anything measured is shown."""

from __future__ import annotations

import time

import streamlit as st

from kdcore.lessons import progress
from kdcore.lessons.beside import beside
from kdcore.lessons.lesson import Lesson
from kdcore.lessons.predictions import BadPrediction, Choice, Curve, Number, Value
from kdcore.lessons.progress import AlreadyCommitted
from pages.lessons.state import Standing, go
from pages.shared import charts, store


def show(one: Standing) -> None:
    left, right = st.columns([1, 1.15], gap="large")
    with left:
        st.subheader("Question", anchor=False)
        st.markdown(one.lesson.question)
    with right, st.container(border=True):
        if one.progress.prediction is None:
            _ask(one)
        else:
            committed(one)
            reset(one.lesson)


def committed(one: Standing) -> None:
    """What was predicted; it cannot be changed."""
    predicted = one.progress.prediction
    assert predicted is not None
    asked = one.lesson.prediction
    st.subheader("Your prediction", icon=":material/lock:", anchor=False)
    chart = beside(asked, predicted, None)
    if chart:
        charts.show(chart, key="predicted")
    else:
        st.markdown(f"{asked.label}: **{asked.words(predicted)}**")
    when = time.strftime("%d %b, %H:%M", time.localtime(one.progress.committed))
    st.caption(f"Committed {when}. It stays as it is until you reset the lesson.")


def reset(lesson: Lesson) -> None:
    """The button that forgets the prediction, once that is confirmed."""
    with st.popover("Reset the lesson", icon=":material/restart_alt:"):
        st.markdown("Forget your prediction and start again? The run and its models stay.")
        st.button("Reset", key="reset", type="primary", on_click=_reset, args=(lesson,))


def _reset(lesson: Lesson) -> None:
    progress.reset(store.workspace(), lesson)
    for key in [str(key) for key in st.session_state if str(key).startswith(f"guess_{lesson.name}")]:
        del st.session_state[key]
    go(lesson.name, "predict")


def _ask(one: Standing) -> None:
    st.subheader("Your prediction", anchor=False)
    value = _widget(one)
    pressed = st.button(
        "Commit prediction", key="commit", type="primary", icon=":material/lock:", disabled=value is None,
        help="You cannot change it afterwards.",
    )  # fmt: skip
    if pressed and value is not None:
        try:
            progress.commit(store.workspace(), one.lesson, value)
        except (BadPrediction, AlreadyCommitted) as error:
            st.toast(str(error), icon=":material/error:")
        go(one.lesson.name, "measure")
        st.rerun()
    st.caption("You see the measured answer only after you commit.")


def _widget(one: Standing) -> Value | None:
    asked, key = one.lesson.prediction, f"guess_{one.lesson.name}"
    match asked:
        case Number():
            start = min(max(0.0, asked.low), asked.high)
            return st.slider(
                f"{asked.label} ({asked.unit})", float(asked.low), float(asked.high), start, float(asked.step), key=key
            )
        case Choice():
            return st.radio(
                asked.label, list(asked.options), index=None, format_func=asked.options.__getitem__, key=key
            )
        case Curve():
            return _curve(asked, key)


def _curve(asked: Curve, key: str) -> tuple[float, ...]:
    """A slider for each point, and the curve that they make."""
    middle = asked.low + round((asked.high - asked.low) / 2 / asked.step) * asked.step
    with st.container(horizontal=True, gap="small"):
        values = tuple(
            st.slider(
                asked.point(x), float(asked.low), float(asked.high), float(middle), float(asked.step), width=150,
                key=f"{key}_{x:g}",
            )
            for x in asked.x
        )  # fmt: skip
    chart = beside(asked, values, None)
    if chart:
        chart.update_layout(height=210, showlegend=False)
        charts.show(chart, key=f"{key}_chart")
    return values
