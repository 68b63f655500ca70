"""Something to play with beside an explanation, computed from the run's own models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from kdcore.data.dataset import load
from kdcore.data.splits import split
from kdcore.export.runtime import pixels
from kdcore.figures.distributions import Said, distributions
from kdcore.figures.rounding import Rounded
from kdcore.figures.rounding import rounding as draw_rounding
from kdcore.figures.softening import TEMPERATURES
from kdcore.lessons.evidence import Evidence, Row
from kdcore.lessons.rounding import Grid, Layers, rounded, sqnr
from kdcore.workspace.workspace import Workspace
from pages.shared import charts, store
from pages.shared.gallery import enlarged, numbered

START = 4.0


@st.fragment
def temperature(found: Evidence) -> None:
    """The teacher's answer to one test image, softened."""
    pictures = store.pictures(found.files.plan.dataset["fingerprint"])
    if pictures is None:
        st.caption("The test examples are no longer in the workspace.")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        if (image := numbered(len(pictures.labels), "lesson_image", width=140)) is None:
            return
        st.image(enlarged(pictures.images[image], 64), width=64, alt=f"Labelled {pictures.name(image)}")
        chosen = st.select_slider(
            "Temperature (T)", TEMPERATURES, START, key="lesson_T", format_func=lambda t: f"{t:g}", width="stretch"
        )
        if st.button("Draw", key="lesson_draw", icon=":material/draw:", type="tertiary", help="In Try it"):
            st.switch_page("try_it/page.py", query_params={"run": found.run_id, "input": "draw"})
    said = [Said(row["variant"], row["role"], found.logits(row["variant"])[image]) for row in _shown(found)]
    chart = distributions(said, pictures.classes, int(pictures.labels[image]), chosen)
    chart.update_layout(height=245)
    charts.show(chart, key="lesson_answers")


def _shown(found: Evidence) -> list[Row]:
    """The teacher and the first distilled student."""
    return [found.first(role) for role in ("teacher", "distilled")]


@st.fragment
def rounding(found: Evidence) -> None:
    """One layer of the student's file, rounded by hand."""
    layers, images, labels, before = _student(str(found.workspace.root), found.run_id)
    left, right = st.columns(2, gap="small")
    name = left.selectbox("Layer", list(layers.weights), index=min(1, len(layers.weights) - 1), key="lesson_layer")
    bits = right.slider("Bits", 2, 8, 4, key="lesson_bits")
    with st.container(horizontal=True):
        symmetric = st.toggle("Symmetric", value=True, key="lesson_symmetric")
        per_channel = st.toggle("A scale for each filter", key="lesson_channel")
        clipped = st.toggle("Clip for least error", key="lesson_clip")
    grid = Grid(bits, symmetric, per_channel, "mse" if clipped else "max")
    weight = layers.weights[name]
    tried = rounded(weight, grid)
    after = layers.accuracy(images, labels, {name: tried})
    view = Rounded(weight, tried, sqnr(weight, tried), before, after, len(labels))
    charts.show(draw_rounding(view), key="lesson_rounding")


@st.cache_resource(max_entries=4, show_spinner=False)
def _student(root: str, run_id: str) -> tuple[Layers, NDArray[np.float32], NDArray[Any], float]:
    """The first distilled student's layers, the validation images and their labels, and its accuracy on them."""
    found = Evidence(Workspace(root), run_id)
    dataset = load(found.recipe.data.source)
    validation = split(dataset, found.recipe.data).validation
    images, labels = pixels(dataset.train_images[validation]), np.asarray(dataset.train_labels)[validation]
    layers = Layers(found.workspace.model(found.first("distilled")["model_key"]) / "model.onnx")
    return layers, images, labels, layers.accuracy(images, labels)


PARTS: dict[str, Callable[[Evidence], None]] = {"temperature": temperature, "rounding": rounding}
