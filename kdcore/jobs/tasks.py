"""What a run can be: a Recipe carried out, or models of earlier runs timed together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from kdcore.files import read_json
from kdcore.pipeline.events import EventLog
from kdcore.pipeline.execute import Execution, measure
from kdcore.pipeline.library import deployed
from kdcore.pipeline.plan import Plan
from kdcore.pipeline.workspace import Workspace
from kdcore.recipe import parse


def task(workspace: Workspace, folder: Path, check: Callable[[], None]) -> Any:
    """The work of the run in `folder`: something with `carry_out()`, `stages` and `session`."""
    document = read_json(folder / "recipe.json")
    if "bench" in document:
        return Bench(workspace, folder, document["bench"], document["seconds"], check)
    plan = Plan.model_validate(
        {name: value for name, value in read_json(folder / "plan.json").items() if name != "schema"}
    )
    return Execution(workspace, folder, parse(document), plan, check)


class Bench:
    """A timing session over the variants of several runs of one image shape."""

    def __init__(self, workspace: Workspace, folder: Path, runs: list[str], seconds: float, check: Callable[[], None]):
        self.workspace, self.folder, self.runs, self.seconds, self.check = workspace, folder, runs, seconds, check
        self.stages: list[dict[str, Any]] = []
        self.session: str | None = None

    def carry_out(self) -> None:
        emit = EventLog(self.folder / "events.jsonl")
        emit("weights", weights={}, session=self.seconds)
        plans = [read_json(self.workspace.run(run_id) / "plan.json") for run_id in self.runs]
        keys = [variant["keys"][0] for plan in plans for variant in plan["variants"]]
        files = deployed(self.workspace, keys)
        shape = tuple(plans[0]["dataset"]["shape"])
        self.session = measure(
            self.workspace, self.runs, files, next(iter(files)), shape, self.seconds, emit=emit, check=self.check
        )
