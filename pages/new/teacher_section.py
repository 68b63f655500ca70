"""The section Teacher of the form: trained here, from an earlier run, or from an uploaded file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import streamlit as st

from kdcore import registry
from kdcore.distill.traits import TeacherTraits
from kdcore.models.published_file import LIBRARIES
from kdcore.recipe import Teacher
from kdcore.report import format
from pages.new import preview, uploads
from pages.new.form import Form, describe
from pages.shared import draft, store, text

SOURCE = "teacher.source"
FILES = {  # what can be uploaded for a source that is a file: its label, and its suffixes
    "weights_file": ("Upload a weights file", ["safetensors", "pt", "pth", "ckpt", "bin", "tar"]),
    "onnx_file": ("Upload an ONNX classifier", ["onnx"]),
    "onnx_text": ("Upload an ONNX text classifier", ["onnx"]),
    "soft_labels": ("Upload a soft-label file", ["npz"]),
}
UNFIT = ("trained", "soft_labels")  # there is nothing that could be compressed
MOST_OFFERED = 200


def draw(form: Form, training: Callable[[], None]) -> None:
    """Where the teacher comes from, and what that needs. `training` draws how one is trained here."""
    chosen = draft.at(draft.get(), SOURCE)["teacher"]
    form.choice(
        "teacher", SOURCE, without=("model", "variant") if chosen == "earlier" else (),
        unfit=UNFIT if draft.get()["start"] == "model" else (),
    )  # fmt: skip
    if chosen == "earlier":
        _earlier()
        form.say(f"{SOURCE}.model")
        form.say(f"{SOURCE}.variant")
    if chosen in FILES:
        uploads.offer(*FILES[chosen], f"{SOURCE}.path")
    if chosen == "published":
        others = [entry.name for entry in registry.entries("architecture") if entry.name not in LIBRARIES]
        form.choice("architecture", "teacher.model", unfit=others)
    elif chosen == "language_model":
        others = [entry.name for entry in registry.entries("architecture") if entry.name != "gpt2"]
        form.choice("architecture", "teacher.model", unfit=others)
    elif chosen == "trained" or TeacherTraits.named(chosen).architecture:
        form.part(Teacher, "teacher", ["model"])
    if chosen == "trained":
        st.caption("The teacher is trained on all labels, however few the student gets.")
        training()


def summary(document: dict[str, Any]) -> str:
    """The section in a line."""
    source = document["teacher"]["source"]
    model = describe("architecture", document["teacher"]["model"])
    if source["teacher"] == "trained":
        return model
    if source["teacher"] == "earlier":
        return f"{source['variant']} of an earlier run" if source["model"] else "from an earlier run, not chosen yet"
    if source["teacher"] in ("published", "language_model"):
        return f"{model}, published weights"
    name = source["path"].replace("\\", "/").rpartition("/")[2]
    return f"{source['teacher'].replace('_', ' ')}, {name or 'no file yet'}"


class Offer(NamedTuple):
    """A finished model that fits the draft's data set: `model` and `variant` as the Recipe takes them."""

    model: str
    variant: str
    line: str


def _earlier() -> None:
    """A list of what earlier runs have left."""
    offers = list(_offers())
    source = draft.at(draft.get(), SOURCE)
    now = next((at for at, offer in enumerate(offers) if offer[:2] == (source["model"], source["variant"])), None)
    if not offers:
        st.caption("No finished model fits this data set yet: it needs the same classes and image shape.")
        return
    draft.follow(f"{SOURCE}.earlier", [offer.line for offer in offers])
    key = draft.key(f"{SOURCE}.earlier")
    st.selectbox(
        "Model", offers, now, key=key, format_func=lambda offer: offer.line, on_change=_take, args=(key,),
        placeholder="Choose a finished model", help="With several seeds, it is the first seed's model.",
    )  # fmt: skip


def _offers() -> Iterator[Offer]:
    """The models of all runs on images and classes like the draft's, the newest runs first."""
    about = preview.about(draft.get())
    if about is None:
        return
    here, count = store.workspace(), 0
    for row in store.runs():
        plan = None if row.damaged else store.plan(row.id)
        if plan is None or (plan.dataset["classes"], plan.dataset["shape"]) != about:
            continue
        for variant in plan.variants:
            key = variant.keys[0]
            if here.complete(key) and (report := store.report(key)):
                accuracy = report["quality"].get("accuracy")
                scored = f" · test accuracy {format.percent(accuracy)}" if accuracy is not None else ""
                yield Offer(row.id, variant.name, f"{variant.name}{scored} · {text.dated(row)}")
                count += 1
        if count >= MOST_OFFERED:
            return


def _take(key: str) -> None:
    picked = st.session_state[key]
    draft.put(draft.get(), f"{SOURCE}.model", picked.model)
    draft.put(draft.get(), f"{SOURCE}.variant", picked.variant)
