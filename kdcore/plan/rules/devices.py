"""How many devices can train one network together: as many as there are, and as a batch can be divided among."""

from __future__ import annotations

from collections.abc import Iterator

from kdcore.data.types import Dataset
from kdcore.plan.rules.adapting import trainings
from kdcore.problems import Problem
from kdcore.recipe import Recipe


def problems(recipe: Recipe, dataset: Dataset, most: tuple[int, str] | None) -> Iterator[Problem]:
    """Trainings on more devices than that, at their field. `most`: as `slots.most_devices` has it."""
    if recipe.start == "model" and recipe.train.devices > 1:
        message = "this run only fine-tunes, which is done on one device: set it to 1"
        yield Problem("train.devices", message, changes=(("train.devices", 1),))
    for field, train in trainings(recipe).items():
        at, inputs = f"{field}.devices", train.batch_size // dataset.kind.in_one(dataset.shape)
        if most and train.devices > max(1, most[0]):
            message = f"{train.devices} is more than the {most[0]} {most[1]}: set it to {max(1, most[0])} or less"
            yield Problem(at, message, changes=((at, max(1, most[0])),))
        elif train.devices > inputs:
            message = f"a batch of {train.batch_size} cannot be divided among {train.devices} devices: take fewer"
            yield Problem(at, message, changes=((at, inputs),))
