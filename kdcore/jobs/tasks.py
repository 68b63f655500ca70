"""What a run can be: a Recipe carried out, or one of KINDS, which measure models of earlier runs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kdcore.files import read_json
from kdcore.pipeline.events import EventLog
from kdcore.pipeline.execute import Execution, measure
from kdcore.pipeline.library import deployed
from kdcore.pipeline.plan import Plan
from kdcore.pipeline.robustness import robustness
from kdcore.pipeline.sensitivity import sensitivity
from kdcore.pipeline.workspace import Workspace
from kdcore.recipe import parse

log = logging.getLogger(__name__)

Check = Callable[[], None]


def task(workspace: Workspace, folder: Path, check: Check) -> Any:
    """The work of the run in `folder`: something with `carry_out()`, `stages` and `session`."""
    document = read_json(folder / "recipe.json")
    for name, kind in KINDS.items():
        if name in document:
            return kind(workspace, folder, document, check)
    plan = Plan.model_validate(
        {name: value for name, value in read_json(folder / "plan.json").items() if name != "schema"}
    )
    return Execution(workspace, folder, parse(document), plan, check)


class Bench:
    """A timing session over the variants of several runs of one image shape."""

    def __init__(self, workspace: Workspace, folder: Path, document: dict[str, Any], check: Check):
        self.workspace, self.folder, self.check = workspace, folder, check
        self.runs: list[str] = document["bench"]
        self.seconds: float = document["seconds"]
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


class Sensitivity:
    """How much each layer of one variant minds a kind of change; the document stays beside the model."""

    def __init__(self, workspace: Workspace, folder: Path, document: dict[str, Any], check: Check):
        self.workspace, self.folder, self.check = workspace, folder, check
        self.asked: dict[str, Any] = document["sensitivity"]
        self.stages: list[dict[str, Any]] = []
        self.session: str | None = None

    def carry_out(self) -> None:
        emit = EventLog(self.folder / "events.jsonl")
        emit("weights", weights={}, session=1.0)

        def tell(name: str, done: int, of: int) -> None:
            self.check()
            emit("session", state="running", progress=(done - 1) / of)
            log.info("layer %d of %d: %s", done, of, name)

        sensitivity(self.workspace, self.asked["run"], self.asked["variant"], self.asked["kind"], on_layer=tell)
        emit("session", state="done", progress=1.0)


class Robustness:
    """Accuracy on corrupted images of every variant of several runs; the documents stay beside the models."""

    def __init__(self, workspace: Workspace, folder: Path, document: dict[str, Any], check: Check):
        self.workspace, self.folder, self.check = workspace, folder, check
        self.runs: list[str] = document["robustness"]
        self.images: int = document["images"]
        self.stages: list[dict[str, Any]] = []
        self.session: str | None = None

    def carry_out(self) -> None:
        emit = EventLog(self.folder / "events.jsonl")
        emit("weights", weights={}, session=1.0)
        plans = [read_json(self.workspace.run(run_id) / "plan.json") for run_id in self.runs]

        def tell(progress: float) -> None:
            self.check()
            emit("session", state="running", progress=progress)

        robustness(self.workspace, plans, images=self.images, on_progress=tell)
        emit("session", state="done", progress=1.0)


# By the field of the run's recipe.json that tells the kind; `kdcore.jobs.api.KINDS` names them without torch.
KINDS: dict[str, Callable[[Workspace, Path, dict[str, Any], Check], Any]] = {
    "bench": Bench,
    "sensitivity": Sensitivity,
    "robustness": Robustness,
}
