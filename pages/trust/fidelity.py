"""Fidelity on the page Trust: how closely a student follows its teacher, and which classes changed."""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from kdcore.figures.class_changes import class_changes as draw_changes
from kdcore.figures.confusion import confusion, difference
from kdcore.report.class_changes import class_changes
from kdcore.report.confusions import Shift, shifts
from kdcore.report.reading import agrees
from kdcore.workspace.plans import Data
from pages.shared import charts, links, store
from pages.shared.text import plain
from pages.trust import variant_table
from pages.trust.models import Shown, shown


def section(run_id: str, names: list[str]) -> None:
    """Each variant's distance from its teacher; then one of them, class by class."""
    st.caption(
        "How closely a variant follows its teacher on the test examples: predicted class (agreement), probabilities "
        "(KL) and logits."
    )
    rows = [row for row in store.rows([run_id]) if row["variant"] in names]
    if any(row["agreement"] is not None for row in rows):
        _numbers(rows)
    elif rows:
        st.caption(":material/info: Not known: the teacher is a file of soft labels without test examples.")
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
        "agreement": number("Agreement (%)", format="%.1f", help="Test examples with the teacher's predicted class."),
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
    left, right = st.columns(2, gap="medium")
    with left:
        by_name = {one.name: one for one in models}
        usual = next((one.name for one in reversed(models) if one.role != "teacher"), models[-1].name)
        chosen = by_name[links.one("Variant", list(by_name), "variant", default=usual)]
    with right:
        other = _against(run_id, chosen)
    about = store.plan(run_id).dataset
    several = "confusion" not in chosen.quality
    if several:
        st.caption("Examples with several labels have no confusion matrix: each label is a separate decision.")
    elif other is None or "confusion" not in other.quality:
        _confusion(chosen, None, about)
    else:
        _both(chosen, other, about)
    _changes(chosen, other, about)


def _both(chosen: Shown, other: Shown, about: Data) -> None:
    left, right = st.columns(2, gap="medium")
    with left:
        _confusion(chosen, other, about)
    with right:
        _confusion(other, chosen, about, "_other")


def _confusion(one: Shown, beside: Shown | None, about: Data, suffix: str = "") -> None:
    """A confusion matrix, on the classes that the one beside it shows too."""
    counts = one.quality["confusion"]
    others = beside.quality["confusion"] if beside else None
    with st.container(border=True, height="stretch"):
        charts.show(confusion(counts, about["classes"], one.name, one.role, others), key=f"confusion{suffix}")


def _against(run_id: str, chosen: Shown) -> Shown | None:
    """The variant to compare with: at first the one that it was made from, or the student alone."""
    others = [one for one in shown(run_id, [row.name for row in store.variants(run_id)]) if one.quality]
    by_name = {one.name: one for one in others if one.name != chosen.name}
    if not by_name:
        return None
    usual = chosen.parent or next(
        (one.name for one in others if one.role == "alone" and agrees(chosen.values, one.values)), None
    )
    default = usual if usual in by_name else next(iter(by_name))
    return by_name[links.one("Compared with", list(by_name), "against", default=default)]


def _changes(chosen: Shown, other: Shown | None, about: Data) -> None:
    """What differs between the two, image by image: errors, and recall by class."""
    pictures = store.pictures(about["fingerprint"])
    if other is None or pictures is None:
        st.caption(
            "No other variant to compare with."
            if pictures
            else "The test examples of this run's data set are no longer in the workspace."
        )
        return
    mine, theirs = (_answers(store.logits(one.key), pictures.several) for one in (chosen, other))
    recalls = draw_changes(
        class_changes(mine, theirs, pictures.labels, pictures.classes), chosen.name, chosen.role, other.name
    )
    if pictures.several:
        with st.container(border=True):
            charts.show(recalls, key="class_changes")
        return
    left, right = st.columns(2, gap="medium")
    with left, st.container(border=True, height="stretch"):
        _difference(chosen, other, shifts(mine, theirs, pictures.labels), about)
    with right, st.container(border=True, height="stretch"):
        charts.show(recalls, key="class_changes")


def _difference(chosen: Shown, other: Shown, found: list[Shift], about: Data) -> None:
    if not found:
        st.markdown(f"{plain(chosen.name)} and {plain(other.name)} make the same errors, example by example.")
        return
    drawn = difference(
        chosen.quality["confusion"], other.quality["confusion"], found, about["classes"], (chosen.name, other.name)
    )
    charts.show(drawn, key="confusion_difference")
    st.caption(
        f"Test examples that {plain(chosen.name)} has more (blue) or fewer (orange) than {plain(other.name)}. On the "
        "diagonal more is better, elsewhere fewer. Paired on the same examples, exact McNemar test, Holm's correction."
    )


def _answers(logits: NDArray[np.float32], several: bool) -> NDArray:
    return logits > 0 if several else logits.argmax(axis=1)
