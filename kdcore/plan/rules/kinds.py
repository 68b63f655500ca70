"""Networks, views, methods, steps and teachers that were made for another kind of input than the data set has."""

from __future__ import annotations

from collections.abc import Iterator

from kdcore import registry
from kdcore.compress.traits import StepTraits
from kdcore.data.types import Dataset
from kdcore.distill.scheme import scheme_of
from kdcore.distill.traits import TeacherTraits, part_traits
from kdcore.inputs import Kind
from kdcore.models.traits import ArchitectureTraits
from kdcore.plan.rules.methods import methods
from kdcore.problems import Problem
from kdcore.recipe import Recipe
from kdcore.registry import Options


def problems(recipe: Recipe, dataset: Dataset) -> Iterator[Problem]:
    """What does not take the inputs of the data set, at its field."""
    kind = dataset.kind
    for field, network in _networks(recipe).items():
        yield from _network(field, network, kind)
    for field, train in (("teacher.train", recipe.teacher.train), ("train", recipe.train)):
        for name, reason in kind.impossible(train.views).items():
            yield Problem(f"{field}.views.{name}", reason)
    for field, method in methods(recipe):
        if any(kind.name not in part.reads for part in part_traits(method)):
            name = registry.entry_of("method", method).name
            yield Problem(f"{field}.method", f"{name} does not work on {kind.many} yet: choose kd, dkd or dist")
    for index, step in enumerate(recipe.compress):
        if kind.name not in StepTraits.of(step).reads:
            name = registry.entry_of("step", step).name
            yield Problem(f"compress.{index}.step", f"{name} works on networks for pictures, not for {kind.many}")
    teacher = registry.entry_of("teacher", recipe.teacher.source)
    if kind.name not in TeacherTraits.named(teacher.name).reads:
        yield Problem("teacher.source", f"a teacher from {teacher.name} reads pictures, not {kind.many}")


def _networks(recipe: Recipe) -> dict[str, Options]:
    """The architectures that a run trains, by their fields."""
    if recipe.start == "model":
        return {}
    found = {"student.model": recipe.student.model}
    if registry.entry_of("teacher", recipe.teacher.source).name == "trained":
        found["teacher.model"] = recipe.teacher.model
    scheme = scheme_of(recipe)
    others = [*(link.model for link in scheme.links(recipe)), *scheme.beside(recipe)]
    others += [other.model for other in scheme.others(recipe)]
    return found | {f"scheme.{number}": model for number, model in enumerate(others)}


def _network(field: str, network: Options, kind: Kind) -> Iterator[Problem]:
    reads = ArchitectureTraits.of(network).reads
    if reads != kind.name:
        name = registry.entry_of("architecture", network).name
        fitting = [
            entry.name
            for entry in registry.entries("architecture")
            if ArchitectureTraits.named(entry.name).reads == kind.name
        ]
        yield Problem(f"{field}.architecture", f"{name} reads {reads}, not {kind.many}: choose {' or '.join(fitting)}")
