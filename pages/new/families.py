"""What kinds of entries a registry holds: methods come in families, and each family is said in plain words."""

from __future__ import annotations

from kdcore import registry
from kdcore.distill.traits import MethodTraits

# In the order in which they are offered: its name, and what the student learns from.
MEANINGS = {
    "responses": ("Answers", "The student learns from what its teacher says of each image (responses)."),
    "features": ("Features", "The student learns from what happens inside its teacher, layer by layer."),
    "weights": ("Weights", "The student begins with its teacher's own weights, or is pulled towards them."),
    "combinations": ("Several at once", "Losses of several methods are added up, a weight for each (combinations)."),
    "controls": ("Controls", "What the others are measured against: no soft targets of a teacher are learned here."),
}
# What a list or a family begins with, where it is not the alphabet's first.
FIRST = ("kd", "attention", "hard_labels", "trained", "offline")


def known(kind: str) -> bool:
    """Whether the entries of this kind come in families."""
    return kind == "method"


def of(kind: str, name: str) -> str:
    """The family of an entry."""
    return MethodTraits.named(name).family if known(kind) else ""


def grouped(kind: str) -> dict[str, list[str]]:
    """Names of the entries by family, both in the order in which they are offered."""
    entries = registry.offered(kind)
    order = [*MEANINGS, *sorted({of(kind, entry.name) for entry in entries} - MEANINGS.keys())]
    found = {family: [entry.name for entry in entries if of(kind, entry.name) == family] for family in order}
    return {family: sorted(names, key=lambda name: name not in FIRST) for family, names in found.items() if names}


def title(family: str) -> str:
    return MEANINGS[family][0] if family in MEANINGS else family.replace("_", " ").capitalize()


def meaning(family: str) -> str:
    return MEANINGS[family][1] if family in MEANINGS else ""
