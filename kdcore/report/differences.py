"""Which fields of their recipes differ between runs, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from kdcore.report import comparison, format
from kdcore.report.reading import RunFiles
from kdcore.workspace.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

ASIDE = ("schema", "name")  # they say nothing of the experiment
UNSET = format.MISSING


class Field(NamedTuple):
    """A recipe's field by its dotted path, and its value in each run in words; UNSET where it has no such field."""

    path: str
    values: tuple[str, ...]


def differing(recipes: Sequence[Mapping[str, Any]]) -> list[Field]:
    """The fields that are not the same in all of these recipes, in their order."""
    flattened = [flat(recipe) for recipe in recipes]
    paths = dict.fromkeys(path for one in flattened for path in one if path.partition(".")[0] not in ASIDE)
    fields = [Field(path, tuple(one.get(path, UNSET) for one in flattened)) for path in paths]
    return [field for field in fields if len(set(field.values)) > 1]


def differences(workspace: Workspace, run_ids: Sequence[str]) -> list[Field]:
    """The differing fields of these runs, then what came of it: the score and the size of every variant that differs.

    Raises UnknownRun, Damaged.
    """
    runs = [RunFiles(workspace, run_id) for run_id in run_ids]
    rows = comparison.rows(workspace, run_ids)
    results = [_results([row for row in rows if row["run"] == run_id]) for run_id in run_ids]
    return differing([run.recipe for run in runs]) + differing(results)


def table(workspace: Workspace, run_ids: Sequence[str]) -> pd.DataFrame:
    """`differences` as a table: a row a field, a column a run, by its id."""
    import pandas as pd

    found = differences(workspace, run_ids)
    columns = {run_id: [field.values[place] for field in found] for place, run_id in enumerate(run_ids)}
    return pd.DataFrame({"field": [field.path for field in found], **columns})


def _results(rows: Sequence[comparison.Row]) -> dict[str, Any]:
    """Score and size of each variant, in words."""
    scores = {}
    for row in rows:
        name = row["variant"]
        if row["score"] is not None:
            score = format.percent_interval(row["score"], row["score_low"], row["score_high"])
            scores[f"{name}: {'test accuracy' if row['measure'] == 'accuracy' else 'mAP'}"] = score
        if row["size_bytes"]:
            scores[f"{name}: file"] = format.size(row["size_bytes"])
    return scores


def flat(value: Any, path: str = "") -> dict[str, str]:
    """Values in words by dotted path; a list of plain values is one value."""
    if isinstance(value, list) and any(isinstance(one, Mapping) for one in value):
        value = dict(enumerate(value))
    if isinstance(value, Mapping):
        parts = [flat(one, f"{path}.{key}".strip(".")) for key, one in value.items()]
        return {name: word for part in parts for name, word in part.items()}
    if value == []:
        return {}
    return {path: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}
