"""Recipe -> plan: which stages there are, in which order, under which keys. No torch.

A stage is listed once however many points of a sweep need it; a variant is a row of the comparison and
names the models, one a seed, that it stands for.
"""

from __future__ import annotations

from typing import Any, Literal

from kdcore import machine, registry
from kdcore.data.dataset import load
from kdcore.data.splits import Split, split
from kdcore.data.types import Dataset
from kdcore.plan import planner, rules
from kdcore.plan.naming import named, titled
from kdcore.plan.stages import Stage, Variant
from kdcore.problems import Problem, RecipeError
from kdcore.recipe import Part, Recipe, points
from kdcore.workspace.library import Library
from kdcore.workspace.workspace import Workspace

MOST_STAGES = 400

__all__ = ["Plan", "Stage", "Variant", "plan"]


class Plan(Part):
    """What a run will do: its data, its stages in an order that works, the rows that they will make.

    `files`: where the content (a sha256, or a model's key) of a teacher that is not trained here was found.
    """

    schema_: Literal[1] = 1
    dataset: dict[str, Any]
    precision: str
    stages: tuple[Stage, ...]
    variants: tuple[Variant, ...]
    files: dict[str, str] = {}

    def document(self) -> dict[str, Any]:
        return {"schema": 1} | self.model_dump(mode="json", exclude={"schema_"})


def plan(recipe: Recipe, workspace: Workspace | None = None) -> Plan:
    """The plan of a Recipe on this machine, with what `workspace` (else the usual one) has of earlier runs.

    Raises RecipeError, which names the fields that are wrong.
    """
    find = Library(workspace or Workspace()).find
    dataset = load(recipe.data.source)
    shares = split(dataset, recipe.data)
    precision = machine.precision(recipe.train.precision)
    stages: dict[str, Stage] = {}
    rows: list[Variant] = []
    files: dict[str, str] = {}
    for point in points(recipe):
        given = rules.check(point.recipe, dataset, find)
        made = planner.rows(point, given, dataset.fingerprint, shares)
        stages |= {stage.key: stage for row in made for stage in row.stages if stage.key not in stages}
        rows += [row.variant for row in made]
        if given:
            files[given.content] = str(given.place)
    if len(stages) > MOST_STAGES:
        raise RecipeError([Problem("sweep", f"makes {len(stages)} stages; at most {MOST_STAGES} are accepted")])
    variants = named(rows)
    return Plan(
        dataset=_describe(dataset, shares, recipe),
        precision=precision,
        stages=tuple(titled(list(stages.values()), variants)),
        variants=tuple(variants),
        files=files,
    )


def _describe(dataset: Dataset, shares: Split, recipe: Recipe) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "fingerprint": dataset.fingerprint,
        "classes": list(dataset.classes),
        "shape": list(dataset.shape),
        "train": len(shares.teacher),
        "labelled": len(shares.labelled),
        "seen": len(shares.seen),
        "validation": len(shares.validation),
        "test": len(dataset.test_labels),
        "teacher": registry.entry_of("teacher", recipe.teacher.source).name,
        "hidden": list(recipe.data.hide_classes),
        "multilabel": dataset.multilabel,
    }
