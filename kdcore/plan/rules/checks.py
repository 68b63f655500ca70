"""What cannot work together: told at its field before anything runs. No torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kdcore import registry
from kdcore.data.views import random as views_are_random
from kdcore.distill.scheme import Scheme
from kdcore.distill.source import Given
from kdcore.distill.traits import looks_inside, parts, trait
from kdcore.problems import Problem, RecipeError
from kdcore.recipe import Recipe
from kdcore.registry import Options

RANDOM = ("shift", "flip", "crop", "mixup", "cutmix")


def check(recipe: Recipe, scheme: Scheme[Any], given: Given | None) -> None:
    """Raises RecipeError for a Recipe whose methods, scheme, views and teacher do not fit each other.

    `given`: the teacher, where the run does not train it.
    """
    problems = list(_views(recipe, scheme, given))
    if given and given.gives == "table":
        problems += _schemes(recipe, scheme)
    for field, method in _methods(recipe):
        problems += _method(recipe, scheme, given, field, method)
    if problems:
        raise RecipeError(problems)


def order(recipe: Recipe) -> None:
    """Raises RecipeError where a step undoes what one before it did, or follows one that makes the file to keep."""
    entries = [registry.entry_of("step", step) for step in recipe.compress]
    problems = []
    for index, entry in enumerate(entries):
        reasons = (reason for earlier in entries[:index] if (reason := _undone(earlier, entry.name)))
        if reason := next(reasons, None):
            problems.append(Problem(f"compress.{index}.step", reason))
    if problems:
        raise RecipeError(problems)


def _undone(earlier: registry.Entry, name: str) -> str | None:
    """Why the step `name` cannot come after another; None where it can."""
    if earlier.traits.get("final"):
        return f"{name} cannot follow {earlier.name}, which makes the file that is kept: put {earlier.name} last"
    reason = earlier.traits["undone_by"](name) if "undone_by" in earlier.traits else None
    return reason and f"{name} cannot follow {earlier.name}: {reason}"


def _methods(recipe: Recipe) -> Iterator[tuple[str, Options]]:
    yield "distill", recipe.distill
    yield from ((f"controls.{place}", one) for place, one in enumerate(recipe.controls))


def _views(recipe: Recipe, scheme: Scheme[Any], given: Given | None) -> Iterator[Problem]:
    """Answers on record are about images as they are: a view that changes them would be answered wrongly."""
    if given is None or given.gives != "table":
        return
    views = recipe.train.views
    for name in RANDOM:
        if getattr(views, name):
            message = (
                "the soft labels are cached outputs, one for each image as it is; with "
                f"{name} every view is another image: set it to {'false' if name == 'flip' else 0}"
            )
            yield Problem(f"train.views.{name}", message)
    if not views_are_random(views) and views_are_random(scheme.adapt(recipe).train.views):
        yield Problem("scheme.scheme", f"{_name(scheme)} blends images, and soft labels are about images as they are")


def _schemes(recipe: Recipe, scheme: Scheme[Any]) -> Iterator[Problem]:
    if scheme.begins != "teacher" or scheme.others(recipe) or scheme.beside(recipe):
        message = f"{_name(scheme)} trains its own teachers, which a soft-label file cannot join: choose offline"
        yield Problem("scheme.scheme", message)


def _method(recipe: Recipe, scheme: Scheme[Any], given: Given | None, field: str, method: Options) -> Iterator[Problem]:
    name = registry.entry_of("method", method).name
    main = field == "distill"
    if main and scheme.begins == "nobody" and (looks_inside(method) or trait(method, "taps", False)):
        yield Problem(
            f"{field}.method", f"{name} looks into the teacher, and {_name(scheme)} shares answers only: {CHOOSE}"
        )
    elif main and scheme.others(recipe) and looks_inside(method):
        yield Problem(f"{field}.method", f"{name} looks into one teacher, and {_name(scheme)} has several: {CHOOSE}")
    elif given and given.gives != "features" and looks_inside(method) and not (main and scheme.begins != "teacher"):
        source = registry.entry_of("teacher", recipe.teacher.source).name
        message = f"{name} looks into the teacher, and one of source {source} gives its answers alone: {CHOOSE}"
        yield Problem(f"{field}.method", message)
    if any(trait(part, "maps", False) for part in parts(method)):
        yield from _maps(recipe, given, field, name)


CHOOSE = "choose a method that matches responses, such as kd, dkd or dist"


def _maps(recipe: Recipe, given: Given | None, field: str, name: str) -> Iterator[Problem]:
    """Feature maps are compared: a network that makes none of the image's places has nothing to compare."""
    teacher = registry.validate("architecture", given.architecture) if given and given.architecture else None
    networks = {"student": recipe.student.model, "teacher": teacher or (None if given else recipe.teacher.model)}
    for whose, network in networks.items():
        if network is not None:
            entry = registry.entry_of("architecture", network)
            if not entry.traits.get("maps", True):
                message = (
                    f"{name} compares feature maps, and the {whose} ({entry.name}) has none: choose a convolutional "
                    f"{whose}, or a method that takes plain vectors, such as fitnets or rkd"
                )
                yield Problem(f"{field}.method", message)


def _name(scheme: Scheme[Any]) -> str:
    return registry.entry_of("scheme", scheme.options).name
