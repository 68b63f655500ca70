"""Fidelity on the page Trust: how closely a student follows its teacher, and which classes changed."""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from kdcore.figures.class_changes import class_changes as draw_changes
from kdcore.figures.confusion import confusion
from kdcore.report.class_changes import class_changes
from kdcore.report.reading import agrees
from kdcore.workspace.plans import Data
from pages.shared import charts, links, store
from pages.trust import variant_table
from pages.trust.models import Shown, shown


def section(run_id: str, names: list[str]) -> None:
    """Each variant's distance from its teacher; then one of them, class by class."""
    st.caption(
        "How closely a variant follows its teacher on the test images: predicted class (agreement), probabilities (KL) "
        "and logits."
    )
    rows = [row for row in store.rows([run_id]) if row["variant"] in names]
    if any(row["agreement"] is not None for row in rows):
        _numbers(rows)
    elif rows:
        st.caption(":material/info: Not known: the teacher is a file of soft labels without test images.")
    models = [one for one in shown(run_id, names) if one.quality]
    if models:
        _by_class(run_id, models)


def _numbers(rows: list[dict]) -> None:
    columns = {
        "agreement": [None if row["agreement"] is None else 100 * row["agreement"] for row in rows],
        "kl": [row["kl"] for row in rows],
        "logit_error": [None if row["logit_error"] is None else 100 * row["logit_error"] for row in rows],
    }
    number = st.column_config.NumberColumn
    config = {
        "agreement": number("Agreement (%)", format="%.1f", help="Test images with the teacher's predicted class."),
        "kl": number("KL (nats)", format="%.4f", help="Mean KL(teacher ‖ variant) of the probabilities at T = 1. "
                     "0: the same probabilities."),
        "logit_error": number("Logit error (%)", format="%.1f", help="RMS difference of the logits, relative to the "
                              "RMS of the teacher's. 100 %: the error of constant logits. A student that is merely "
                              "more confident has an error too."),
    }  # fmt: skip
    variant_table.show(
        [(one["role"], one["variant"]) for one in rows], columns, config, alt="Fidelity to the teacher", width="content"
    )


def _by_class(run_id: str, models: list[Shown]) -> None:
    st.subheader("Class by class", anchor=False)
    by_name = {one.name: one for one in models}
    usual = next((one.name for one in reversed(models) if one.role != "teacher"), models[-1].name)
    chosen = by_name[links.one("Variant", list(by_name), "variant", default=usual)]
    about = store.plan(run_id).dataset
    if "confusion" not in chosen.quality:
        st.caption("Images with several labels have no confusion matrix: each label is a separate decision.")
        with st.container(border=True):
            _changes(run_id, chosen, about)
        return
    left, right = st.columns(2, gap="medium")
    with left, st.container(border=True, height="stretch"):
        charts.show(confusion(chosen.quality["confusion"], about["classes"], chosen.name, chosen.role), key="confusion")
    with right, st.container(border=True, height="stretch"):
        _changes(run_id, chosen, about)


def _changes(run_id: str, chosen: Shown, about: Data) -> None:
    """Recall by class beside the file that this one came from, or the student alone; a teacher has neither."""
    other = _beside(run_id, chosen)
    pictures = store.pictures(about["fingerprint"])
    if other is None or pictures is None:
        st.caption(
            "No parent model; choose a compressed variant."
            if pictures
            else "The test images of this run's data set are no longer in the workspace."
        )
        return
    mine, theirs = (_answers(store.logits(one.key), pictures.several) for one in (chosen, other))
    found = class_changes(mine, theirs, pictures.labels, pictures.classes)
    charts.show(draw_changes(found, chosen.name, chosen.role, other.name), key="class_changes")


def _beside(run_id: str, chosen: Shown) -> Shown | None:
    if chosen.parent:
        return next(iter(shown(run_id, [chosen.parent])), None)
    if chosen.role in ("teacher", "alone"):
        return None
    every = shown(run_id, [variant.name for variant in store.variants(run_id)])
    return next((one for one in every if one.role == "alone" and agrees(chosen.values, one.values)), None)


def _answers(logits: NDArray[np.float32], several: bool) -> NDArray:
    return logits > 0 if several else logits.argmax(axis=1)
