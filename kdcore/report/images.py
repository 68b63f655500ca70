"""How many images a plan's steps look at, and how precise an accuracy on the test images is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kdcore import inputs
from kdcore.compress.traits import StepTraits
from kdcore.recipe import Recipe
from kdcore.report import format
from kdcore.report.statistics import wilson
from kdcore.workspace.plans import Data

EXAMPLE = 0.9  # an accuracy


def looked_at(recipe: Recipe, dataset: Data) -> list[str]:
    """A sentence for each step that needs images, each chain of a sweep apart from the Recipe's own left out."""
    return [line for step in recipe.compress for line in _of_step(recipe, step, dataset)]


def _of_step(recipe: Recipe, step: Any, dataset: Data) -> Iterator[str]:
    seen, one = dataset["seen"], inputs.of(dataset["shape"]).one
    traits, tuned = StepTraits.of(step), getattr(step, "finetune", None)
    name = traits.label[:1].upper() + traits.label[1:]
    if traits.looks:
        most = format.plural(traits.looks, one)
        here = "" if seen >= traits.looks else f"; there are {seen:,}"
        yield f"{name} uses at most {most}{here}."
    if tuned is not None and tuned.steps:
        views = tuned.steps * recipe.train.batch_size
        yield f"{name} is fine-tuned on {format.plural(seen, one)}, each {max(1, round(views / seen)):,} times."


def interval_width(dataset: Data) -> str:
    """How wide the interval of an accuracy is at this size of the test split; empty for several labels an image, and
    where examples depend on each other."""
    count, shape = dataset["test"], dataset["shape"]
    if dataset["multilabel"] or not count or inputs.of(shape).in_one(shape) > 1:
        return ""
    found = wilson(round(EXAMPLE * count), count)
    accuracy, interval = format.percent(found.value), format.percent_bounds(found.low, found.high)
    examples = format.plural(count, f"test {inputs.of(shape).one}")
    return f"With {examples}, an accuracy of {accuracy} has a 95 % interval of {interval} %."
