"""The committed prediction, and the button that forgets it."""

from __future__ import annotations

import time

import streamlit as st

from kdcore.lessons import progress
from kdcore.lessons.beside import beside
from kdcore.lessons.lesson import Lesson
from kdcore.workspace import access
from pages.lessons.state import Standing, go
from pages.shared import charts, people, store
from pages.shared.text import plain


def show(one: Standing) -> None:
    """What was predicted; it cannot be changed."""
    predicted = one.progress.prediction
    assert predicted is not None
    asked = one.lesson.prediction
    st.subheader("Your prediction", icon=":material/lock:", anchor=False)
    chart = beside(asked, predicted, None)
    if chart:
        chart.update_layout(height=250)
        charts.show(chart, key="predicted")
    else:
        st.markdown(f"{asked.label}: **{plain(asked.words(predicted))}**")
    when = time.strftime("%d %b, %H:%M", time.localtime(one.progress.committed))
    st.caption(f"Committed {when}. It stays as it is until you reset the lesson.")


def reset(lesson: Lesson) -> None:
    """The button that forgets the prediction, once that is confirmed."""
    with st.popover("Reset the lesson", icon=":material/restart_alt:", **people.unless(access.to_launch())):
        st.markdown("Forget your prediction and start again? The run and its models stay.")
        st.button("Reset", key="reset", type="primary", on_click=_reset, args=(lesson,))


@people.reported
def _reset(lesson: Lesson) -> None:
    progress.reset(store.workspace(), lesson)
    for key in [str(key) for key in st.session_state if str(key).startswith(f"guess_{lesson.name}")]:
        del st.session_state[key]
    go(lesson.name, "predict")
