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
        message = f"a soft-label file assumes one label per example, but examples of {dataset.name} have several"
        yield Problem("teacher.source", f"{message}: choose another teacher source")


def _method(field: str, method: Options, dataset: Dataset) -> Iterator[Problem]:
    name = registry.entry_of("method", method).name
    if dataset.multilabel and not takes(method, "many"):
        message = f"{name} needs one label per example, but examples of {dataset.name} have several: use sigmoid"
        yield Problem(f"{field}.method", message)
    if not dataset.multilabel and not takes(method, "one"):
        message = f"{name} needs several labels per example, but examples of {dataset.name} have one: use kd"
        yield Problem(f"{field}.method", message)
