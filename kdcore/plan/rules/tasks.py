"""Whether methods and teacher fit the labels of the data set: one for each image, or any number. No torch."""

from __future__ import annotations

from collections.abc import Iterator

from kdcore import registry
from kdcore.data.types import Dataset
from kdcore.distill.traits import takes
from kdcore.problems import Problem, RecipeError
from kdcore.recipe import Recipe
from kdcore.registry import Options


def check(recipe: Recipe, dataset: Dataset) -> None:
    """Raises RecipeError where a method was made for other labels than the data set has."""
    problems = [problem for field, method in _methods(recipe) for problem in _method(field, method, dataset)]
    teacher = registry.entry_of("teacher", recipe.teacher.source).name
    if dataset.multilabel and teacher == "soft_labels":
        message = f"a soft-label file shares out one image among the classes, and {dataset.name}'s have several each"
        problems.append(Problem("teacher.source", f"{message}: take another source of the teacher"))
    if problems:
        raise RecipeError(problems)


def _methods(recipe: Recipe) -> Iterator[tuple[str, Options]]:
    yield "distill", recipe.distill
    yield from ((f"controls.{place}", one) for place, one in enumerate(recipe.controls))


def _method(field: str, method: Options, dataset: Dataset) -> Iterator[Problem]:
    name = registry.entry_of("method", method).name
    if dataset.multilabel and not takes(method, "many"):
        message = f"{name} is made for one label an image, and those of {dataset.name} have several each: use sigmoid"
        yield Problem(f"{field}.method", message)
    if not dataset.multilabel and not takes(method, "one"):
        message = f"{name} is made for several labels an image, and those of {dataset.name} have one each: use kd"
        yield Problem(f"{field}.method", message)
