"""Methods and steps come in families, each with a title and one line of meaning."""

from __future__ import annotations

from collections.abc import Collection

from kdcore import registry
from kdcore.compress.traits import StepTraits
from kdcore.distill.traits import MethodTraits

# In the order in which they are offered: its name, and what the student learns from, or what a step does.
MEANINGS = {
    "responses": ("Responses", "The student learns from its teacher's outputs: logits or probabilities."),
    "features": ("Features", "The student learns from its teacher's intermediate layers."),
    "weights": ("Weights", "The student starts from its teacher's weights, or is pulled towards them."),
    "combinations": ("Combinations", "The weighted sum of several methods' losses."),
    "controls": ("Controls", "Baselines that learn without a teacher's soft targets."),
    "pruned": ("Pruning", "Removes filters, heads, layers or words, or sets weights to zero."),
    "quantized": ("Quantization", "Stores the weights, and often the activations, in fewer bits."),
    "low_rank": ("Low rank", "Replaces a large matrix with the product of two small ones."),
    "shared": ("Shared weights", "Lets weights share values, or layers share weights, and codes what is left."),
}
# What a list or a family begins with, where it is not the alphabet's first.
FIRST = ("kd", "attention", "hard_labels", "trained", "offline")


def known(kind: str) -> bool:
    """Whether the form offers the entries of this kind by family."""
    return kind == "method"


def of(kind: str, name: str) -> str:
    """The family of an entry; a step's is the role of the variant that it makes."""
    if kind == "step":
        return StepTraits.named(name).variant
    return MethodTraits.named(name).family if known(kind) else ""


def grouped(kind: str, without: Collection[str] = ()) -> dict[str, list[str]]:
    """Names of the entries by family, both in the order in which they are offered, but those `without`."""
    entries = [entry for entry in registry.offered(kind) if entry.name not in without]
    order = [*MEANINGS, *sorted({of(kind, entry.name) for entry in entries} - MEANINGS.keys())]
    found = {family: [entry.name for entry in entries if of(kind, entry.name) == family] for family in order}
    return {family: sorted(names, key=lambda name: name not in FIRST) for family, names in found.items() if names}


def title(family: str) -> str:
    return MEANINGS[family][0] if family in MEANINGS else family.replace("_", " ").capitalize()


def meaning(family: str) -> str:
    return MEANINGS[family][1] if family in MEANINGS else ""
