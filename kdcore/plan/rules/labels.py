"""Whether methods and teacher fit the labels of the data set: one for each image, or any number."""

from __future__ import annotations

from collections.abc import Iterator

from kdcore import registry
from kdcore.data.types import Dataset
from kdcore.distill.traits import takes
from kdcore.plan.rules.methods import methods
from kdcore.problems import Problem
from kdcore.recipe import Recipe
from kdcore.registry import Options


def problems(recipe: Recipe, dataset: Dataset) -> Iterator[Problem]:
    """Methods, and a teacher, that were made for other labels than the data set has."""
    for field, method in methods(recipe):
        yield from _method(field, method, dataset)
    teacher = registry.entry_of("teacher", recipe.teacher.source).name
    if dataset.multilabel and teacher == "soft_labels":
        message = f"a soft-label file shares out one image among the classes, and {dataset.name}'s have several each"
        yield Problem("teacher.source", f"{message}: take another source of the teacher")


def _method(field: str, method: Options, dataset: Dataset) -> Iterator[Problem]:
    name = registry.entry_of("method", method).name
    if dataset.multilabel and not takes(method, "many"):
        message = f"{name} is made for one label an image, and those of {dataset.name} have several each: use sigmoid"
        yield Problem(f"{field}.method", message)
    if not dataset.multilabel and not takes(method, "one"):
        message = f"{name} is made for several labels an image, and those of {dataset.name} have one each: use kd"
        yield Problem(f"{field}.method", message)
