"""Networks, views, methods, steps and teachers that were made for another kind of input than the data set has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kdcore import inputs, registry
from kdcore.compress.traits import StepTraits
from kdcore.data.types import Dataset
from kdcore.distill.scheme import scheme_of
from kdcore.distill.traits import TeacherTraits, part_traits
from kdcore.inputs import Kind
from kdcore.models.traits import ArchitectureTraits
from kdcore.plan.rules.methods import methods
from kdcore.problems import Problem
from kdcore.recipe import Augmentation, Recipe
from kdcore.registry import Options

USUAL_INPUTS = 16  # of a batch, where each holds several examples


def problems(recipe: Recipe, dataset: Dataset) -> list[Problem]:
    """What does not take the inputs of the data set, at its field. Where much does not, as after another data set
    was chosen, one suggestion at the data set puts it right."""
    found = [*_networks(recipe, dataset), *_training(recipe, dataset), *_others(recipe, dataset.kind)]
    changes = tuple(change for problem in found for change in problem.changes)
    found = [problem._replace(changes=()) for problem in found]
    if len(changes) > 1:
        whole = f"networks, views or methods are not made for {dataset.kind.many}: change them, or the data set"
        return [Problem("data.source", whole, changes=changes), *found]
    return [problem._replace(changes=changes) for problem in found[:1]] + found[1:]


def _networks(recipe: Recipe, dataset: Dataset) -> Iterator[Problem]:
    kind = dataset.kind
    for field, network in _trained(recipe).items():
        traits = ArchitectureTraits.of(network)
        if traits.reads == kind.read_as:
            yield from (Problem(f"{field}.{at}", why) for at, why in traits.unfit(network, dataset.shape).items())
            continue
        fitting = sorted(reading("architecture", kind.read_as), key=_published)
        message = f"{_name('architecture', network)} does not read {kind.many}: choose {' or '.join(fitting[:3])}"
        yield Problem(f"{field}.architecture", message, changes=((field, _usual("architecture", fitting[0])),))


def reading(kind: str, read_as: str) -> list[str]:
    """The entries of a registry, by name, that read such inputs; those of a registry that says nothing of it all do."""
    read = {entry.name: getattr(entry.traits, "reads", read_as) for entry in registry.entries(kind)}
    return [name for name, kinds in read.items() if read_as in ((kinds,) if isinstance(kinds, str) else kinds)]


def _published(name: str) -> bool:
    """Whether an architecture is made for published weights: then it is large, and no first choice."""
    return ArchitectureTraits.named(name).pinned is not ArchitectureTraits.pinned


def _trained(recipe: Recipe) -> dict[str, Options]:
    """The architectures that a run trains, by their fields; those of the scheme under its own."""
    if recipe.start == "model":
        return {}
    found = {"student.model": recipe.student.model}
    if _name("teacher", recipe.teacher.source) == "trained":
        found["teacher.model"] = recipe.teacher.model
    return found


def _training(recipe: Recipe, dataset: Dataset) -> Iterator[Problem]:
    kind = dataset.kind
    least = kind.in_one(dataset.shape)
    trained = {"train": recipe.train}
    if "teacher.model" in _trained(recipe):
        trained["teacher.train"] = recipe.teacher.train
    for field, train in trained.items():
        if train.batch_size < least:
            whole = (
                f"{train.batch_size} is too small: a network reads {least} {kind.many} at once. Give {least} or more"
            )
            yield Problem(f"{field}.batch_size", whole, changes=((f"{field}.batch_size", USUAL_INPUTS * least),))
        for name, reason in kind.impossible(train.views).items():
            usual = Augmentation.model_fields[name].default
            yield Problem(f"{field}.views.{name}", reason, changes=((f"{field}.views.{name}", usual),))


def _others(recipe: Recipe, kind: Kind) -> Iterator[Problem]:
    for field, method in methods(recipe):
        if wrong := [part for part in part_traits(method) if kind.read_as not in part.reads]:
            generates = f"trains on text that the student generates, which networks for {kind.many} cannot do"
            why = generates if wrong[0].writes else f"compares features absent from {kind.many}"
            message = f"{_name('method', method)} {why}: choose kd or dist"
            yield Problem(f"{field}.method", message, changes=((field, _usual("method", "kd")),))
    fitting = [step for step in recipe.compress if kind.read_as in StepTraits.of(step).reads]
    without = (("compress", [step.model_dump(mode="json") for step in fitting]),)
    for index, step in enumerate(recipe.compress):
        if step not in fitting:
            read = " and ".join(inputs.named(name).many for name in StepTraits.of(step).reads)
            message = f"{_name('step', step)} works on networks for {read}, not for {kind.many}: remove it"
            yield Problem(f"compress.{index}.step", message, changes=without)
    source = _name("teacher", recipe.teacher.source)
    if kind.read_as not in TeacherTraits.named(source).reads:
        yield Problem("teacher.source", f"a teacher from {source} does not read {kind.many}: train one here")
    for other in _of_scheme(recipe):
        if ArchitectureTraits.of(other).reads != kind.read_as:
            message = f"the scheme trains {_name('architecture', other)} too, which does not read {kind.many}"
            yield Problem("scheme.scheme", message)


def _of_scheme(recipe: Recipe) -> list[Options]:
    if recipe.start == "model":
        return []
    scheme = scheme_of(recipe)
    between = [*(link.model for link in scheme.links(recipe)), *(other.model for other in scheme.others(recipe))]
    known = (recipe.student.model, recipe.teacher.model)
    return [one for one in (*between, *scheme.beside(recipe)) if one not in known]


def _usual(kind: str, name: str) -> dict[str, Any]:
    return registry.validate(kind, name).model_dump(mode="json")


def _name(kind: str, options: Options) -> str:
    return registry.entry_of(kind, options).name
