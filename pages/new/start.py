"""The first question: what there is already, which decides what the run makes."""

from __future__ import annotations

from typing import Any

import streamlit as st

from kdcore import json_input, registry
from kdcore.problems import RecipeError
from kdcore.recipe import WITHOUT_LABELS, parse
from pages.shared import draft
from pages.shared.text import plain

KEY = "start"
ANSWERS = {
    "nothing": "Nothing trained yet",
    "teacher": "A trained teacher",
    "model": "A trained model to make smaller",
}
MEANINGS = {
    "nothing": "A teacher and a student are trained here.",
    "teacher": "A student is trained here; it learns from a teacher that you have.",
    "model": "An earlier run's model, a weights file, an ONNX file, or a network by name. It is compressed and "
    "compared with the original. Nothing is trained except in fine-tuning after a step.",
}
LARGEST = 1_000_000  # bytes of a saved recipe


def ask() -> None:
    """The question, with what each answer means; and a saved recipe as another way to begin."""
    answer = of(draft.get())
    key = draft.key(f"{KEY}.{answer}")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.segmented_control(
            "What do you have?", list(ANSWERS), default=answer, required=True, key=key,
            format_func=ANSWERS.__getitem__, on_change=_take, args=(key,), width="content",
        )  # fmt: skip
        with st.popover("A saved recipe", icon=":material/upload_file:"):
            _saved()
    st.caption(MEANINGS[answer])


def of(document: dict[str, Any]) -> str:
    """Which answer a draft stands for."""
    if document["start"] == "model":
        return "model"
    return "nothing" if document["teacher"]["source"]["teacher"] == "trained" else "teacher"


def _take(key: str) -> None:
    document, answer = draft.get(), st.session_state[key]
    trained = document["teacher"]["source"]["teacher"] == "trained"
    document["start"] = "model" if answer == "model" else "train"
    if answer == "model":
        document["distill"] = registry.validate("method", WITHOUT_LABELS).model_dump(mode="json")
    if trained != (answer == "nothing"):
        document["teacher"]["source"] = draft.fresh("teacher", "trained" if answer == "nothing" else "earlier")
    draft.renew()


def _saved() -> None:
    """A recipe.json, as a run's files and `Copy as JSON` have it."""
    sent = st.file_uploader("Recipe (.json)", ["json"], key=draft.key("recipe_file"))
    if sent is None:
        return
    try:
        if sent.size > LARGEST:
            raise json_input.BadJson(f"it has {sent.size:,} bytes; at most {LARGEST:,} are accepted")
        recipe = parse(json_input.read(sent.getvalue().decode("utf-8")))
    except (RecipeError, json_input.BadJson, UnicodeDecodeError) as error:
        st.error(plain(f"{sent.name} cannot be used: {error}"), icon=":material/error:")
        return
    if st.button("Open it", key="open_recipe", type="primary", icon=":material/edit:"):
        draft.load(recipe, recipe.name)
        st.rerun()
