"""Steps on an ONNX file alone: which of them, and which of their options, need the network itself."""

from __future__ import annotations

from collections.abc import Iterator

from kdcore import registry
from kdcore.compress.traits import StepTraits
from kdcore.problems import Problem
from kdcore.recipe import Recipe
from kdcore.registry import Options


def problems(recipe: Recipe) -> Iterator[Problem]:
    """What cannot be done to a file, each at its field."""
    for index, step in enumerate(recipe.compress):
        yield from _beyond(step, f"compress.{index}")


def _beyond(step: Options, field: str) -> Iterator[Problem]:
    graph, name = StepTraits.of(step).graph, registry.entry_of("step", step).name
    if graph is None:
        message = f"{name} needs the network itself; an ONNX file has only its graph: remove the step, or give weights"
        yield Problem(f"{field}.step", message)
        return
    for option, reason in graph(step).items():
        yield Problem(f"{field}.{option}", reason)
    finetune = getattr(step, "finetune", None)
    if finetune is not None and finetune.steps:
        place = f"{field}.finetune.steps"
        yield Problem(place, "an ONNX file cannot be trained: set it to 0", changes=((place, 0),))
