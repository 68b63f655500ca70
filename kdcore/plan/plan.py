"""Recipe -> plan: which stages there are, in which order, under which keys. No torch.

A stage is listed once however many points of a sweep need it; a variant is a row of the comparison and
names the models, one a seed, that it stands for.
"""

from __future__ import annotations

from kdcore import machine, registry
from kdcore.data.dataset import load
from kdcore.data.splits import Split, split
from kdcore.data.types import Dataset
from kdcore.plan import planner, rules
from kdcore.plan.naming import named, titled
from kdcore.problems import Problem, RecipeError
from kdcore.recipe import Recipe, points
from kdcore.workspace import keys, slots
from kdcore.workspace.library import Library
from kdcore.workspace.plans import Data, Foreign, Plan, Stage, Variant
from kdcore.workspace.workspace import Workspace

MOST_STAGES = 400


def plan(recipe: Recipe, workspace: Workspace | None = None) -> Plan:
    """The plan of a Recipe on this machine, with what `workspace` (else the usual one) has of earlier runs.

    Raises RecipeError, which names the fields that are wrong.
    """
    workspace = workspace or Workspace()
    find, most_devices = Library(workspace).find, slots.most_devices(workspace)
    dataset = load(recipe.data.source)
    usual = split(dataset, recipe.data)
    labelled: list[int] = []
    precision = machine.precision(recipe.train.precision)
    stages: dict[str, Stage] = {}
    rows: list[Variant] = []
    files: dict[str, str] = {}
    for point in points(recipe):
        given = rules.check(point.recipe, dataset, find, most_devices)
        shares = usual if point.recipe.data == recipe.data else split(dataset, point.recipe.data)
        labelled.append(len(shares.labelled))
        made = planner.rows(point, given, dataset.fingerprint, shares)
        stages |= {stage.key: stage for row in made for stage in row.stages if stage.key not in stages}
        rows += [row.variant for row in made]
        if given:
            files[given.content] = str(given.place)
    if len(stages) > MOST_STAGES:
        raise RecipeError([Problem("sweep", f"makes {len(stages)} stages; at most {MOST_STAGES} are accepted")])
    variants = named(rows)
    return Plan(
        dataset=_describe(dataset, usual, recipe) | _varied(labelled),
        precision=precision,
        stages=tuple(titled(list(stages.values()), variants)),
        variants=tuple(variants),
        files=files,
        plugins=_plugins(recipe),
    )


def _varied(labelled: list[int]) -> dict[str, list[int]]:
    """How many labelled examples the points of a sweep have, where they differ."""
    distinct = sorted(set(labelled))
    return {"labelled_of_points": distinct} if len(distinct) > 1 else {}


def _plugins(recipe: Recipe) -> dict[str, Foreign]:
    """Where the entries that the Recipe chooses come from, those of plug-ins."""
    chosen = [choice for point in points(recipe) for choice in keys.choices(point.recipe)]
    used = [registry.entry_of(kind, options) for kind, options in chosen]
    return {
        f"{entry.kind}:{entry.name}": {"plugin": entry.plugin.name, "digest": entry.plugin.digest}
        for entry in used
        if entry.plugin
    }


def _describe(dataset: Dataset, shares: Split, recipe: Recipe) -> Data:
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
        "start": recipe.start,
        "teacher": registry.entry_of("teacher", recipe.teacher.source).name,
        "hidden": list(recipe.data.hide_classes),
        "multilabel": dataset.multilabel,
    }
