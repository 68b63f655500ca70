"""What a lesson may look at: everything that the report says of one finished run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from kdcore import arrays
from kdcore.files import read_json
from kdcore.recipe import Recipe, parse
from kdcore.report import comparison
from kdcore.report import verdicts as judged
from kdcore.report.hidden import Recalled
from kdcore.report.reading import RunFiles
from kdcore.report.sessions import Speed
from kdcore.report.verdicts import Verdict
from kdcore.workspace.workspace import Workspace

Row = dict[str, Any]


class Incomplete(LookupError):
    """The run lacks something that the lesson needs; the message names it."""


class Evidence:
    """A finished run. Raises UnknownRun, Damaged; its parts raise Incomplete where the run lacks them."""

    def __init__(self, workspace: Workspace, run_id: str):
        self.workspace, self.run_id = workspace, run_id
        self.files = RunFiles(workspace, run_id)

    @cached_property
    def recipe(self) -> Recipe:
        """What was run."""
        return parse(self.files.recipe)

    @cached_property
    def rows(self) -> list[Row]:
        """The comparison's rows, see `comparison.rows`."""
        return comparison.rows(self.workspace, [self.run_id])

    @cached_property
    def verdicts(self) -> list[Verdict]:
        return comparison.verdicts(self.workspace, self.run_id)

    @cached_property
    def hidden(self) -> list[Recalled]:
        """Recall of the classes that students never saw."""
        return comparison.hidden(self.workspace, self.run_id)

    @property
    def roles(self) -> dict[str, str]:
        return {row["variant"]: row["role"] for row in self.rows}

    def row(self, variant: str) -> Row:
        """The row of this name."""
        found = next((row for row in self.rows if row["variant"] == variant), None)
        return found or missing(variant)

    def first(self, role: str) -> Row:
        """The first row of this role."""
        found = next((row for row in self.rows if row["role"] == role), None)
        return found or missing(role)

    def verdict(self, variant: str, against: str) -> Verdict:
        """`variant` compared with `against`."""
        found = next((one for one in self.verdicts if (one.variant, one.against) == (variant, against)), None)
        return found or missing(f"{variant} against {against}")

    def between(self, variant: str, against: str) -> Verdict:
        """One row against another by seed, where the report has no verdict of its own."""
        try:
            return judged.between(self.files, variant, against)
        except LookupError:
            return missing(f"{variant} against {against}")

    def at(self, role: str, values: Mapping[str, Any]) -> Row:
        """The row of this role at these values of the sweep."""
        for row in self.rows:
            if row["role"] == role and all(row["values"].get(path) == value for path, value in values.items()):
                return row
        return missing(f"{role} at {', '.join(map(str, values.values()))}")

    def faster(self, variant: str, than: str) -> Speed:
        """How many times as fast a variant is, at batch size 64, in the run's timing session."""
        (difference,) = comparison.differences(self.workspace, [self.row(variant)], self.row(than))
        return difference.throughput or missing(f"timing of {variant}")

    def reports(self, variant: str) -> list[dict[str, Any]]:
        """What each seed's model reports, see `execute/builder.py`."""
        keys = next((one.keys for one in self.files.plan.variants if one.name == variant), None) or missing(variant)
        return [read_json(self.workspace.model(key) / "report.json") for key in keys if self.workspace.complete(key)]

    def history(self, variant: str) -> list[dict[str, Any]]:
        """The epochs of the first seed's training."""
        path = self.workspace.model(self.row(variant)["model_key"]) / "history.jsonl"
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.is_file() else []

    def logits(self, variant: str) -> NDArray[np.float32]:
        """(N, K) of the first seed's file on the test images."""
        return arrays.stored(self.workspace.model(self.row(variant)["model_key"]) / "logits.npz")["test"]

    @property
    def environment(self) -> dict[str, Any]:
        """The machine and the versions that the run was made with."""
        return self.files.result.get("environment", {})


def missing(what: str) -> NoReturn:
    """Raises Incomplete."""
    raise Incomplete(f"The run has no {what}. Start it again: what is finished is reused.")
