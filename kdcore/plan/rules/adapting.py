"""What LoRA needs: attention on texts, and the package that does it."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

from kdcore import hub, registry
from kdcore.inputs import Kind
from kdcore.problems import Problem
from kdcore.recipe import Recipe, Train


def problems(recipe: Recipe, kind: Kind) -> Iterator[Problem]:
    """Trainings that ask for LoRA where it cannot be, at their field."""
    for field, train in trainings(recipe).items():
        if not train.lora:
            continue
        at, off = f"{field}.lora", ((f"{field}.lora", 0),)
        if kind.name != "text":
            yield Problem(at, f"LoRA adapts text networks, not those for {kind.many}: set it to 0", changes=off)
        elif find_spec("peft") is None:
            yield Problem(at, f"LoRA needs the package peft: {hub.INSTALL}; or set it to 0", changes=off)


def trainings(recipe: Recipe) -> dict[str, Train]:
    """The trainings of new networks, by their fields."""
    found = {} if recipe.start == "model" else {"train": recipe.train}
    trained = registry.entry_of("teacher", recipe.teacher.source).name == "trained"
    return found | ({"teacher.train": recipe.teacher.train} if trained and found else {})
