"""What LoRA needs: attention on texts, the package that does it, and a student that alone is trained."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

from kdcore import hub, registry
from kdcore.distill.scheme import scheme_of
from kdcore.distill.traits import MethodTraits, parts
from kdcore.inputs import Kind
from kdcore.plan.rules.methods import methods
from kdcore.problems import Problem
from kdcore.recipe import Recipe, Train


def problems(recipe: Recipe, kind: Kind) -> Iterator[Problem]:
    """Trainings that ask for LoRA where it cannot be, at their field."""
    for field, train in trainings(recipe).items():
        if not train.lora:
            continue
        at, off = f"{field}.lora", ((f"{field}.lora", 0),)
        if kind.read_as != "text":
            yield Problem(at, f"LoRA adapts text networks, not those for {kind.many}: set it to 0", changes=off)
        elif find_spec("peft") is None:
            yield Problem(at, f"LoRA needs the package peft: {hub.INSTALL}; or set it to 0", changes=off)
    if recipe.start == "train" and recipe.train.lora:
        yield from _others(recipe)


def _others(recipe: Recipe) -> Iterator[Problem]:
    """A scheme that trains further networks in full, and methods whose loss is about the weights that LoRA freezes."""
    scheme = scheme_of(recipe)
    if scheme.beside(recipe):
        name = registry.entry_of("scheme", recipe.scheme).name
        message = (
            f"{name} trains further networks in full, which cannot be combined with a LoRA student: choose the scheme "
            "offline, or set lora to 0"
        )
        yield Problem("scheme.scheme", message)
    for field, method in methods(recipe):
        frozen = [part for part in parts(method) if MethodTraits.of(part).pulls]
        if frozen:
            name = registry.entry_of("method", frozen[0]).name
            message = f"{name} pulls weights, which LoRA leaves as they are: choose another method, or set lora to 0"
            yield Problem(f"{field}.method", message)


def trainings(recipe: Recipe) -> dict[str, Train]:
    """The trainings of new networks, by their fields."""
    found = {} if recipe.start == "model" else {"train": recipe.train}
    trained = registry.entry_of("teacher", recipe.teacher.source).name == "trained"
    return found | ({"teacher.train": recipe.teacher.train} if trained and found else {})
