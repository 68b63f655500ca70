"""The summary of each closed section of the form, in one line; and the editor of the sweep."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import streamlit as st

from kdcore import json_input, registry
from kdcore.compress.traits import StepTraits
from kdcore.plan import naming
from kdcore.report import format
from pages.new.form import Form, describe
from pages.shared import draft
from pages.shared.fields import label, place_of

Document = dict[str, Any]


def data_summary(document: Document) -> str:
    data = document["data"]
    labels = "all labels" if data["labels"] is None else format.plural(data["labels"], "label")
    hidden = f", hiding {', '.join(map(str, data['hide_classes']))}" if data["hide_classes"] else ""
    source = dict(data["source"])
    if "path" in source:
        source["path"] = source["path"].replace("\\", "/").rpartition("/")[2]
    return f"{describe('dataset', source)}, {labels}{hidden}"


def student_summary(document: Document) -> str:
    train = document["train"]
    budget = format.plural(train["steps"], "step") if train["steps"] else format.plural(train["epochs"] or 0, "epoch")
    return f"{describe('architecture', document['student']['model'])}, {budget}"


def distil_summary(document: Document) -> str:
    controls = [one["method"] for one in document["controls"]]
    beside = f", controls: {', '.join(controls).replace('_', ' ')}" if controls else ""
    scheme = document["scheme"]["scheme"]
    way = "" if scheme == "offline" else f"{scheme.replace('_', ' ')}: "
    return way + describe("method", document["distill"]) + beside


def tuning_summary(document: Document) -> str:
    """How the steps are fine-tuned; nothing where none is."""
    tuned = [step["finetune"] for step in document["compress"] if (step.get("finetune") or {}).get("steps")]
    if not tuned:
        return "none"
    steps = format.plural(sum(one["steps"] for one in tuned), "step")
    taught = any(one["targets"] == "teacher" for one in tuned)
    return f"{steps}, {describe('method', document['distill']) if taught else 'on labels'}"


def compress_summary(document: Document) -> str:
    if chains := document["sweep"].get("compress"):
        return "; ".join(map(naming.describe, chains))
    names = [_short(step) for step in document["compress"]]
    return ", then ".join(names) if names else "no compression"


def measure_summary(document: Document) -> str:
    swept = "; ".join(
        f"{label(path)} {', '.join(map(naming.describe, values))}" for path, values in document["sweep"].items()
    )
    timed = document["measure"]["timing_seconds"]
    clock = f"timed for {format.duration(timed)}" if timed else "not timed"
    corrupted = ", with robustness" if document["measure"]["robustness"] else ""
    seeds = format.plural(len(document["seeds"]), "seed")
    return f"{seeds}, {clock}{corrupted}" + (f", sweep: {swept}" if swept else "")


def _short(step: Document) -> str:
    """What the step calls itself with these options, as in "pruned 50 %", or its name while they are wrong."""
    try:
        return StepTraits.of(registry.validate("step", step)).label
    except ValueError:
        return step["step"].replace("_", " ")


def sweep(form: Form) -> None:
    """Values that a run should vary: one line a value, "path" and the values that it should take."""
    document = draft.get()
    st.caption("**Sweep**: run the experiment with each of these values; stages that do not depend on them are shared")
    for path, values in document["sweep"].items():
        with st.container(horizontal=True, vertical_alignment="bottom"):
            key = draft.key(f"sweep.{path}")
            shown = ", ".join(json.dumps(value) for value in values)
            st.text_input(f"{place_of(path)} (comma-separated)", shown, key=key, on_change=_take, args=(path, key))
            st.button("Remove", key=f"{key}.out", type="tertiary", on_click=draft.take_out, args=("sweep", path))
        form.say(f"sweep.{path}")
    form.say("sweep")
    free = [path for path in _leaves(document) if path not in document["sweep"]]
    picked = st.menu_button(
        "Vary a value", free, key=draft.key("sweep.add"), icon=":material/add:",
        format_func=lambda path: f"{place_of(path)} · {path}",
    )  # fmt: skip
    if picked:
        document["sweep"][picked] = [draft.at(document, picked)]
        st.rerun()


def _take(path: str, key: str) -> None:
    text = st.session_state[key]
    try:
        values = json_input.read(f"[{text}]")
    except json_input.BadJson:  # words without their quotation marks
        values = [_value(part) for part in text.split(",")]
    draft.get()["sweep"][path] = values


def _value(text: str) -> Any:
    try:
        return json_input.read(text)
    except json_input.BadJson:
        return text.strip()


def _leaves(document: Document) -> Iterator[str]:
    """Paths of the numbers that a sweep can vary: of the methods, the networks, the steps and the training."""
    for root in ("distill", "scheme", "student", "compress", "train"):
        yield from _numbers(document[root], root)


def _numbers(value: Any, path: str) -> Iterator[str]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, child in items:
        if isinstance(child, int | float) and not isinstance(child, bool):
            yield f"{path}.{name}"
        else:
            yield from _numbers(child, f"{path}.{name}")
