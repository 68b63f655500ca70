"""The summary of each closed section of the form, in one line."""

from __future__ import annotations

from typing import Any

from kdcore import registry
from kdcore.compress.traits import StepTraits
from kdcore.plan import naming
from kdcore.report import format
from pages.new.form import describe

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
    timed = document["measure"]["timing_seconds"]
    clock = f"timed for {format.duration(timed)}" if timed else "not timed"
    corrupted = ", with robustness" if document["measure"]["robustness"] else ""
    seeds = format.plural(len(document["seeds"]), "seed")
    return f"{seeds}, {clock}{corrupted}"


def _short(step: Document) -> str:
    """What the step calls itself with these options, as in "pruned 50 %", or its name while they are wrong."""
    try:
        return StepTraits.of(registry.validate("step", step)).label
    except ValueError:
        return step["step"].replace("_", " ")
