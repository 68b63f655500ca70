"""A run that starts from a trained model: what that model must be, and what its steps need."""

from __future__ import annotations

from collections.abc import Iterator

from kdcore import registry
from kdcore.distill.source import ExternalTeacher
from kdcore.distill.traits import MethodTraits
from kdcore.plan.rules import graphs, networks
from kdcore.problems import Problem
from kdcore.recipe import Recipe


def problems(recipe: Recipe) -> Iterator[Problem]:
    """What is missing or left over, before the model is looked for."""
    if registry.entry_of("teacher", recipe.teacher.source).name == "trained":
        message = "a run that starts from a trained model must say where that is: an earlier run, or a file"
        yield Problem("teacher.source", message)
    if MethodTraits.of(recipe.distill).borrows:
        name = registry.entry_of("method", recipe.distill).name
        yield Problem("distill.method", f"{name} changes the network that it trains: choose kd to fine-tune a model")


def unfit(recipe: Recipe, given: ExternalTeacher | None) -> Iterator[Problem]:
    """Why this model cannot be compressed, or a step not work on it."""
    if given is None:
        return
    if given.gives == "features" and given.architecture is not None:
        yield from networks.problems(recipe, registry.validate("architecture", given.architecture))
    elif given.closed:
        yield Problem("teacher.source", f"this model cannot be compressed, as {given.closed}")
    else:
        yield from graphs.problems(recipe)
