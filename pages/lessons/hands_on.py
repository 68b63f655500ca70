"""Something to play with beside an explanation, computed from the run's own models."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from kdcore.figures.distributions import Said, distributions
from kdcore.figures.softening import TEMPERATURES
from kdcore.lessons.evidence import Evidence, Row
from pages.shared import charts, store
from pages.shared.gallery import enlarged

START = 4.0


@st.fragment
def temperature(found: Evidence) -> None:
    """The teacher's answer to one test image, softened."""
    pictures = store.pictures(found.files.plan.dataset["fingerprint"])
    if pictures is None:
        st.caption("The test images are no longer in the workspace.")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        image = st.number_input("Test image", 0, len(pictures.labels) - 1, 0, key="lesson_image", width=130)
        st.image(enlarged(pictures.images[image], 64), width=64, alt=f"Labelled {pictures.name(image)}")
        chosen = st.select_slider(
            "Temperature (T)", TEMPERATURES, START, key="lesson_T", format_func=lambda t: f"{t:g}", width="stretch"
        )
    said = [Said(row["variant"], row["role"], found.logits(row["variant"])[image]) for row in _shown(found)]
    chart = distributions(said, pictures.classes, int(pictures.labels[image]), chosen)
    chart.update_layout(height=300)
    charts.show(chart, key="lesson_answers")


def _shown(found: Evidence) -> list[Row]:
    """The teacher and the first distilled student."""
    return [found.first(role) for role in ("teacher", "distilled")]


PARTS: dict[str, Callable[[Evidence], None]] = {"temperature": temperature}
