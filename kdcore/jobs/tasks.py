"""What a run can be: a Recipe, or one of the KINDS that measure models of earlier runs."""

from __future__ import annotations

import logging
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kdcore.execute.joined import Joined
from kdcore.execute.layer_times import layer_times
from kdcore.execute.robustness import robustness
from kdcore.execute.run import Execution, fingerprints, measure
from kdcore.execute.sensitivity import sensitivity
from kdcore.execute.sound import usable
from kdcore.recipe import parse
from kdcore.workspace import shapes
from kdcore.workspace.events import EventLog
from kdcore.workspace.library import deployed
from kdcore.workspace.plans import Plan
from kdcore.workspace.shapes import KINDS
from kdcore.workspace.workspace import Workspace

log = logging.getLogger(__name__)

Check = Callable[[], None]
PYTHON_SECONDS = 8.0  # of the timing session of models that came from Python


def task(workspace: Workspace, folder: Path, check: Check, joined: Joined | None = None) -> Any:
    """The work of the run in `folder`: something with `carry_out()`, `stages` and `session`."""
    document: Any = shapes.asked(folder)
    for name, kind in KINDS.items():
        if name in document:
            return pkgutil.resolve_name(kind.task)(workspace, folder, document, check)
    plan = workspace.plan(folder.name)
    if lacks := plan.lacks(unchanged=True):
        raise LookupError(lacks)
    return Execution(workspace, folder, parse(document), plan, check, joined)


class Measurement:
    """Measures models of earlier runs, and trains nothing. A kind of it says what, in `measure`."""

    def __init__(self, workspace: Workspace, folder: Path, document: dict[str, Any], check: Check):
        self.workspace, self.folder, self.document, self.check = workspace, folder, document, check
        self.emit = EventLog(folder / "events.jsonl")
        self.stages: list[dict[str, Any]] = []
        self.session: str | None = None

    def carry_out(self) -> None:
        self.emit("weights", weights={}, session=1.0)
        self.measure()
        if self.session is None:  # a timing session has said so itself
            self.emit("session", state="done", progress=1.0)

    def measure(self) -> None:
        raise NotImplementedError

    def tell(self, progress: float) -> None:
        """Share that is done, 0..1. Raises what `check` raises."""
        self.check()
        self.emit("session", state="running", progress=progress)

    def plans(self, runs: list[str]) -> list[Plan]:
        return [self.workspace.plan(run_id) for run_id in runs]


class Bench(Measurement):
    """A timing session over the variants of several runs of one image shape."""

    def measure(self) -> None:
        self.time(self.document["bench"], self.document["seconds"])

    def time(self, runs: list[str], seconds: float) -> None:
        plans = self.plans(runs)
        keys = [variant.keys[0] for plan in plans for variant in plan.variants]
        files = usable(self.workspace, deployed(self.workspace, keys))
        if not files:
            raise LookupError("no model of these runs is complete: resume them")
        shape = tuple(plans[0].dataset["shape"])
        self.session = measure(
            self.workspace, runs, files, next(iter(files)), shape, seconds, emit=self.emit, check=self.check,
            openvino=fingerprints(plans) if self.document.get("openvino") else None,
        )  # fmt: skip


class Python(Bench):
    """Models that came from Python, once a person asks for the run again: they are timed again."""

    def measure(self) -> None:
        self.time([self.folder.name], PYTHON_SECONDS)


class Sensitivity(Measurement):
    """The sensitivity of each layer of one variant; the document stays beside the model."""

    def measure(self) -> None:
        asked: dict[str, Any] = self.document["sensitivity"]

        def on_layer(name: str, done: int, of: int) -> None:
            self.tell((done - 1) / of)
            log.info("layer %d of %d: %s", done, of, name)

        sensitivity(self.workspace, asked["run"], asked["variant"], asked["kind"], on_layer=on_layer)


class Robustness(Measurement):
    """Accuracy on corrupted images of every variant of several runs; the documents stay beside the models."""

    def measure(self) -> None:
        plans, images = self.plans(self.document["robustness"]), self.document["images"]
        robustness(self.workspace, plans, images=images, on_progress=self.tell)


class LayerTimes(Measurement):
    """Where the time of some variants' files goes; the documents stay beside the models."""

    def measure(self) -> None:
        asked: list[dict[str, str]] = self.document["layer_times"]
        for place, one in enumerate(asked):

            def on_share(share: float, before: int = place) -> None:
                self.tell((before + share) / len(asked))

            log.info("%s of %s", one["variant"], one["run"])
            layer_times(self.workspace, one["run"], one["variant"], on_share)
