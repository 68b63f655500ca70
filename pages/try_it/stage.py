"""The stage of the page: the input, what the networks see of it, and their answers beside each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from kdcore.figures import answers as figures
from kdcore.figures.answers import Answered, spelled
from kdcore.inputs.kind import Disturbance, Items, Kind
from kdcore.report import format
from kdcore.tryout.answers import Answer, answers, falls, strengths
from kdcore.tryout.manner import Manner
from pages.shared import charts, gallery, roles
from pages.shared.store import Pictures
from pages.shared.text import plain
from pages.try_it import source, writing
from pages.try_it.source import Given
from pages.try_it.variants import Chosen

BARS = "Probabilities"
QUICK = 3 * 96 * 96  # values of an input up to which the chart of a disturbance is drawn at once


@st.fragment
def show(models: list[Chosen], pictures: Pictures, style: Manner | None, kind: str) -> None:
    """All that an input changes, apart from the rest of the page: the input on the left, what becomes of it right."""
    if kind == source.CONTINUE:
        writing.show(models, pictures)
        return
    left, right = st.columns([1, 3.1], gap="medium")
    with left:
        seen = source.choose(kind, models, pictures, style)
    with right:
        if seen is None:
            st.caption("Every variant answers here from its deployed file.")
        else:
            _became(seen, models, pictures)


def _became(seen: Given, models: list[Chosen], pictures: Pictures) -> None:
    """What the networks see and answer; below it the sliders beside a chart."""
    seen_column, answer_column = st.columns([1, 3.5])
    slider_column, chart_column = st.columns([1, 1.4], gap="medium")
    kind = pictures.kind
    about = kind.disturbances(kind.shape(seen.item))
    with slider_column:
        strengths = _sliders(about)
    changed = kind.disturbed(seen.item, [strengths])
    with seen_column:
        _seen(kind, seen, changed)
    with answer_column:
        working, found = _answered(models, changed, pictures)
        if not found:
            return
        _table(working, found, pictures.classes)
        st.caption(
            f":material/info: One {kind.one} is an anecdote. Agreement: the share of the test {kind.many} that get the "
            "teacher's class. Accuracy is on the page Compare."
        )
    with chart_column:
        titles = {BARS: BARS} | {name: one.title.partition(" (")[0] for name, one in about.items()}
        what = st.segmented_control(
            "Chart", list(titles), default=BARS, required=True, format_func=titles.__getitem__, key="try_chart",
            persist_state="session", help="The others show which variant fails first as a distortion grows.",
        )  # fmt: skip
        if what == BARS:
            charts.show(figures.answers(found, pictures.classes), key="try_bars")
        else:
            _falls(working, seen.item, strengths, str(what), about[str(what)], pictures)


def _seen(kind: Kind, seen: Given, changed: Items) -> None:
    """What the networks see, and how it was made of the input."""
    size = kind.measured(changed)
    st.markdown("**What the networks see**")
    gallery.draw(kind.shown(changed, 0), f"The input as the networks see it, {size}")
    st.caption(f"{size}. {', '.join(seen.done).capitalize()}.")


def _sliders(about: Mapping[str, Disturbance]) -> dict[str, float]:
    """The strength of each disturbance."""
    st.markdown("**Distort the input**", help="Applied to the prepared input, all together.")
    with st.grid(2, min_column_width=130):
        chosen = {
            name: st.slider(
                one.title, 0.0, one.most, step=one.step, format="%g", key=f"try_{name}_{one.most:g}",
                persist_state="session",
            )
            for name, one in about.items()
        }  # fmt: skip
    keys = [f"try_{name}_{one.most:g}" for name, one in about.items()]
    st.button("Reset", key="try_reset", on_click=_reset, args=(keys,), disabled=not any(chosen.values()))
    return chosen


def _reset(keys: list[str]) -> None:
    for key in keys:
        st.session_state[key] = 0.0


def _answered(models: list[Chosen], item: Items, pictures: Pictures) -> tuple[list[Chosen], list[Answered]]:
    """The models that answer, and what; the page names those that do not."""
    working, found = [], []
    for one in models:
        try:
            found.append(Answered(one.name, one.role, answers(one.model, item, pictures.several, pictures.kind)[0]))
            working.append(one)
        except ValueError as error:
            st.warning(f"{plain(one.name)} gives no answer: {plain(str(error))}.")
    return working, found


def _table(models: list[Chosen], found: list[Answered], classes: list[str]) -> None:
    """One row a variant; where one disagrees with the teacher it stands out."""
    teacher = found[0].answer.picked if found[0].role == "teacher" else None
    rows = {
        f"{roles.mark(one.role)} {plain(one.name)}": _row(one, model.row, teacher, classes)
        for one, model in zip(found, models, strict=True)
    }
    st.table(pd.DataFrame.from_dict(rows, orient="index"), border="horizontal")


def _row(
    one: Answered, known: Mapping[str, Any], teacher: tuple[int, ...] | None, classes: list[str]
) -> dict[str, str]:
    answer = plain(spelled(one.answer.picked, classes))
    now = "agrees" if one.answer.picked == teacher else "disagrees"
    if teacher is None or one.role == "teacher":
        now = format.MISSING
    elif now == "disagrees":
        answer, now = (f":orange-background[**{words}**]" for words in (answer, now))
    return {
        "Answer": answer,
        "Confidence": format.percent(one.answer.confidence),
        "Teacher": now,
        "Agreement": format.MISSING if known["role"] == "teacher" else format.percent(known["agreement"]),
        "Size": format.size(known["size_bytes"]),
    }


def _falls(
    models: list[Chosen], item: Items, chosen: Mapping[str, float], name: str, about: Disturbance, pictures: Pictures
) -> None:
    """Confidence in the clean answer as one disturbance grows, for every variant."""
    kind = pictures.kind
    if kind.values(kind.shape(item)) > QUICK and not st.toggle(
        "Draw the chart", key="try_slow", help="Slow for large images."
    ):
        return
    clean: Answer = answers(models[0].model, item, pictures.several, kind)[0]
    others = {other: value for other, value in chosen.items() if other != name}
    fallen = falls(
        {one.name: one.model for one in models}, item, clean.picked, name, about, pictures.several, others, kind
    )
    figure = figures.falls(
        fallen, {one.name: one.role for one in models}, strengths(about), disturbance=about.title, unit=about.unit,
        answer=spelled(clean.picked, pictures.classes), now=chosen[name],
    )  # fmt: skip
    charts.show(figure, key=f"try_falls_{name}")
    whose = f"the answer that {plain(models[0].name)} gives to the undistorted input"
    st.caption(f"Confidence in {whose}. The other sliders stay where they are.")
