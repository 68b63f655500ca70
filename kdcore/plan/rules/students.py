"""Steps that cannot work on the student's architecture."""

from __future__ import annotations

from collections.abc import Iterator

from kdcore import registry
from kdcore.compress.traits import StepTraits
from kdcore.problems import Problem
from kdcore.recipe import Recipe


def problems(recipe: Recipe) -> Iterator[Problem]:
    """Steps that refuse the student, and why.

    A step's trait `refuses` is asked with the architecture's options and the names of the steps before.
    """
    before: list[str] = []
    for index, step in enumerate(recipe.compress):
        if reason := StepTraits.of(step).refuses(recipe.student.model, before):
            yield Problem(f"compress.{index}.step", reason)
        before.append(registry.entry_of("step", step).name)
