"""What the parts of a Recipe must keep to among themselves; `kdcore.recipe` looks at single fields. No torch.

One file for each thing that is checked; `advice.py` has what is allowed but worth knowing.
"""

from __future__ import annotations

from collections.abc import Iterable

from kdcore import registry
from kdcore.data.types import Dataset
from kdcore.distill.source import ExternalTeacher, Find
from kdcore.plan.rules import adapting, combinations, devices, finished, kinds, labels, measuring, networks, steps
from kdcore.problems import Problem, RecipeError
from kdcore.recipe import Recipe


def check(
    recipe: Recipe, dataset: Dataset, find: Find, most_devices: tuple[int, str] | None = None
) -> ExternalTeacher | None:
    """Refuses a Recipe, one point of a sweep, whose parts do not work together.

    `most_devices`: of `workspace.slots`. Returns its teacher where the run does not train it: looking for it with
    `find` is part of the check. Raises RecipeError, at the fields that are wrong.
    """
    _refuse(steps.problems(recipe))
    _refuse(measuring.problems("measure.openvino", recipe.measure.openvino))
    _refuse(finished.problems(recipe) if recipe.start == "model" else ())
    _refuse(kinds.problems(recipe, dataset))
    _refuse(adapting.problems(recipe, dataset.kind))
    _refuse(devices.problems(recipe, dataset, most_devices))
    _refuse(labels.problems(recipe, dataset))
    _refuse(networks.problems(recipe, recipe.student.model) if recipe.start == "train" else ())
    source = registry.entry_of("teacher", recipe.teacher.source).implementation(recipe.teacher.source)
    given: ExternalTeacher | None = source.given(recipe.teacher.model, dataset, find)
    _refuse(combinations.problems(recipe, given) if recipe.start == "train" else finished.unfit(recipe, given))
    return given


def _refuse(problems: Iterable[Problem]) -> None:
    if found := list(problems):
        raise RecipeError(found)
