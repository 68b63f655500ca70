"""Steps that cannot work on the network that they are given."""

from __future__ import annotations

from collections.abc import Iterator

from kdcore import registry
from kdcore.compress.traits import StepTraits
from kdcore.problems import Problem
from kdcore.recipe import Recipe
from kdcore.registry import Options


def problems(recipe: Recipe, architecture: Options) -> Iterator[Problem]:
    """Steps that refuse a network of this architecture, and why.

    A step's trait `refuses` is asked with the architecture's options and the names of the steps before.
    """
    before: list[str] = []
    for index, step in enumerate(recipe.compress):
        if reason := StepTraits.of(step).refuses(architecture, before):
            yield Problem(f"compress.{index}.step", reason)
        before.append(registry.entry_of("step", step).name)
