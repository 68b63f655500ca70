"""Methods, scheme, views and teacher that do not fit each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kdcore import registry
from kdcore.distill.scheme import Scheme, scheme_of
from kdcore.distill.source import ExternalTeacher
from kdcore.distill.traits import MethodTraits, looks_inside, part_traits, parts
from kdcore.inputs.augmentation import random as views_are_random
from kdcore.models.traits import ArchitectureTraits
from kdcore.plan.rules.methods import methods
from kdcore.problems import Problem
from kdcore.recipe import Recipe
from kdcore.registry import Options

RANDOM = ("shift", "flip", "crop", "mixup", "cutmix")
CHOOSE = "choose a method that matches responses, such as kd, dkd or dist"


def problems(recipe: Recipe, given: ExternalTeacher | None) -> Iterator[Problem]:
    """What cannot work together. `given`: the teacher, where the run does not train it."""
    scheme = scheme_of(recipe)
    if given and given.gives == "table":
        yield from _views(recipe, scheme)
        yield from _own_teachers(recipe, scheme)
    for field, method in methods(recipe):
        yield from _method(recipe, scheme, given, field, method)


def _views(recipe: Recipe, scheme: Scheme[Any]) -> Iterator[Problem]:
    """Answers on record are about images as they are: a view that changes them would be answered wrongly."""
    views = recipe.train.views
    for name in RANDOM:
        if getattr(views, name):
            message = (
                f"soft labels are cached outputs, one per original image; with {name} every view is a different "
                f"image: set it to {'false' if name == 'flip' else 0}"
            )
            yield Problem(f"train.views.{name}", message)
    if not views_are_random(views) and views_are_random(scheme.adapt(recipe).train.views):
        yield Problem("scheme.scheme", f"{_name(scheme)} mixes images, but soft labels belong to the original images")


def _own_teachers(recipe: Recipe, scheme: Scheme[Any]) -> Iterator[Problem]:
    if scheme.begins != "teacher" or scheme.others(recipe) or scheme.beside(recipe):
        message = f"{_name(scheme)} trains its own teachers, which a soft-label file cannot join: choose offline"
        yield Problem("scheme.scheme", message)


def _method(
    recipe: Recipe, scheme: Scheme[Any], given: ExternalTeacher | None, field: str, method: Options
) -> Iterator[Problem]:
    name = registry.entry_of("method", method).name
    if reason := _unseen(recipe, scheme, given, method, main=field == "distill"):
        yield Problem(f"{field}.method", f"{name} uses features of {reason}: {CHOOSE}")
    if any(part.maps for part in part_traits(method)):
        yield from _maps(recipe, given, field, name)
    yield from _blocks(recipe, given, field, method)


def _unseen(
    recipe: Recipe, scheme: Scheme[Any], given: ExternalTeacher | None, method: Options, *, main: bool
) -> str | None:
    """What a method looks into without being able to; None where it can, or need not. `main`: it is no control."""
    inside = looks_inside(method)
    if main and scheme.begins == "nobody" and (inside or MethodTraits.of(method).taps):
        return f"the teacher, but {_name(scheme)} shares only outputs"
    if main and scheme.others(recipe) and inside:
        return f"one teacher, but {_name(scheme)} has several"
    if given and given.gives != "features" and inside and not (main and scheme.begins != "teacher"):
        source = registry.entry_of("teacher", recipe.teacher.source).name
        return f"the teacher, but source {source} provides only outputs"
    return None


def _maps(recipe: Recipe, given: ExternalTeacher | None, field: str, name: str) -> Iterator[Problem]:
    """Feature maps are compared: a network that makes none of the image's places has nothing to compare."""
    for whose, network in _networks(recipe, given).items():
        if not ArchitectureTraits.of(network).maps:
            known = registry.entry_of("architecture", network).name
            message = (
                f"{name} compares feature maps, but the {whose} ({known}) has none: choose a convolutional "
                f"{whose}, or a method for plain vectors, such as fitnets or rkd"
            )
            yield Problem(f"{field}.method", message)


def _blocks(recipe: Recipe, given: ExternalTeacher | None, field: str, method: Options) -> Iterator[Problem]:
    """Single blocks of a transformer are compared: both networks must have some, and such as match."""
    networks = _networks(recipe, given)
    for part in parts(method):
        name, traits = registry.entry_of("method", part).name, MethodTraits.of(part)
        without = [whose for whose, network in networks.items() if not ArchitectureTraits.of(network).blocks]
        if traits.blocks and without:
            message = (
                f"{name} compares transformer blocks, but the {without[0]} has none: choose a network with blocks, or "
                "a method that matches responses, such as kd"
            )
            yield Problem(f"{field}.method", message)
        elif len(networks) == 2 and (reason := traits.unfit(part, networks["student"], networks["teacher"])):
            yield Problem(f"{field}.method", f"{name}: {reason}")


def _networks(recipe: Recipe, given: ExternalTeacher | None) -> dict[str, Options]:
    """The architectures of student and teacher, as far as they are known."""
    teacher = registry.validate("architecture", given.architecture) if given and given.architecture else None
    found = {"student": recipe.student.model, "teacher": teacher or (None if given else recipe.teacher.model)}
    return {whose: network for whose, network in found.items() if network is not None}


def _name(scheme: Scheme[Any]) -> str:
    return registry.entry_of("scheme", scheme.options).name
