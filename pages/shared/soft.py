"""The softened answers of a teacher and of students, at a chosen temperature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, NoReturn

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from kdcore.figures.class_similarity import alike
from kdcore.figures.distributions import Said, distributions
from kdcore.figures.softening import TEMPERATURES
from kdcore.figures.temperature import temperatures
from kdcore.workspace.plans import Variant
from pages.shared import charts, links, roles, store
from pages.shared.store import Pictures
from pages.shared.text import plain

START = 4.0
PLAY_SECONDS = 0.8


class Chosen(NamedTuple):
    """A model of the run: logits (N, K) on the test images."""

    name: str
    role: str
    logits: NDArray[np.float32]


def models(run_id: str) -> list[Chosen]:
    """The teacher, and the chosen variants, which are `?variants=` in the URL, in table order."""
    found = store.variants(run_id)
    teachers = [variant for variant in found if variant.role == "teacher"][:1]
    students = {variant.name: variant for variant in found if variant.role != "teacher"}
    key = f"soft_students_{run_id}"
    st.session_state[key] = _asked(found, students)

    def write() -> None:
        links.put("variants", [*(teacher.name for teacher in teachers), *st.session_state[key]])

    picked = st.pills(
        "Compare with", list(students), selection_mode="multi", key=key, wrap=True, on_change=write,
        format_func=lambda name: f"{roles.mark(students[name].role)} {plain(name)}",
    )  # fmt: skip
    shown = teachers + [variant for name, variant in students.items() if name in picked]
    return [one for variant in shown if (one := _chosen(variant))] or _none()


def _asked(found: list[Variant], students: Mapping[str, Variant]) -> list[str]:
    """The students that the URL names, as one variant or several; else the student alone and the first distilled."""
    asked = st.query_params.get_all("variants") or st.query_params.get_all("variant")
    if any(variant.name in asked for variant in found):
        return [name for name in students if name in asked]
    return [name for name, variant in students.items() if variant.role in ("alone", "distilled")][:2]


def _chosen(variant: Variant) -> Chosen | None:
    try:
        return Chosen(variant.name, variant.role, store.logits(variant.keys[0]))
    except KeyError:
        st.caption(":material/info: This teacher is a file of soft labels without test examples.")
        return None


def _none() -> NoReturn:
    st.info("Choose a student to see its answers.")
    st.stop()


def answers(chosen: list[Chosen], pictures: Pictures, image: int) -> None:
    """The slider and all that it moves, apart from the rest of the page."""
    playing = st.toggle("Play", key="play", help="Steps through all temperatures.", on_change=_write_temperature)

    @st.fragment(run_every=PLAY_SECONDS if playing else None)
    def moved() -> None:
        if playing:
            _advance()
        else:
            st.session_state["T"] = links.temperature(TEMPERATURES, default=START)
        temperature = st.select_slider(
            "Temperature (T)", TEMPERATURES, key="T", format_func=lambda t: f"{t:g}", on_change=_write_temperature,
            help="Every logit is divided by T before softmax. 1: unchanged; higher: softer.",
        )  # fmt: skip
        said = [Said(model.name, model.role, model.logits[image]) for model in chosen]
        label = pictures.labels[image]
        charts.show(
            distributions(said, pictures.classes, label if pictures.several else int(label), temperature), key="answers"
        )
        left, right = st.columns(2, gap="medium")
        with left:
            charts.show(temperatures(said, temperature, pictures.several), key="entropy")
        with right:
            charts.show(_alike(chosen[0], pictures, temperature), key="alike")

    moved()


def _alike(teacher: Chosen, pictures: Pictures, temperature: float) -> Any:
    return alike(teacher.logits, pictures.labels, pictures.classes, temperature)


def _advance() -> None:
    place = TEMPERATURES.index(st.session_state.get("T", START))
    st.session_state["T"] = TEMPERATURES[(place + 1) % len(TEMPERATURES)]


def _write_temperature() -> None:
    links.put("T", f"{st.session_state.get('T', START):g}")
