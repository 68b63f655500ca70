"""Plan -> models on disk, then their robustness where that is wanted, and one timing session over all variants."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from kdcore import machine, models
from kdcore.data.types import Dataset
from kdcore.execute.builder import builder_of
from kdcore.execute.in_openvino import add_agreement
from kdcore.execute.joined import Joined
from kdcore.execute.leaving import show
from kdcore.execute.robustness import robustness
from kdcore.execute.stages import Stages
from kdcore.files import write_json
from kdcore.inputs import Shape
from kdcore.measure import cuda, timing
from kdcore.models.cost import macs
from kdcore.plan.estimate import architectures, measuring_seconds, robustness_seconds, weights
from kdcore.recipe import Recipe
from kdcore.workspace.events import EventLog, read
from kdcore.workspace.library import deployed, gives
from kdcore.workspace.plans import Plan, Stage
from kdcore.workspace.workspace import Workspace

log = logging.getLogger(__name__)


class Stopped(Exception):
    """Somebody asked the run to end. `keep`: measure what is finished first."""

    def __init__(self, keep: bool):
        super().__init__("stopped" if keep else "cancelled")
        self.keep = keep


class Execution:
    """One run of a Recipe. `emit`: the run's event log. `check` raises Stopped. `joined`: who builds stages too."""

    def __init__(
        self,
        workspace: Workspace,
        run: Path,
        recipe: Recipe,
        plan: Plan,
        check: Callable[[], None],
        joined: Joined | None = None,
    ):
        self.workspace, self.recipe, self.plan, self.check = workspace, recipe, plan, check
        self.joined = joined or Joined()
        self.run = run
        self._last_epoch = _last_epochs(run / "events.jsonl")
        self.log = EventLog(run / "events.jsonl")
        self.session: str | None = None
        self.timed_from = 0.0  # share of the measuring that comes before the timing session
        self._finished: dict[str, dict[str, Any]] = {}
        self._stages: Stages | None = None

    @property
    def stages(self) -> list[dict[str, Any]]:
        """The finished stages in the plan's order: title, key, whether it was reused, seconds."""
        return [self._finished[stage.key] for stage in self.plan.stages if stage.key in self._finished]

    @property
    def current(self) -> Stage | None:
        """The stage that is being built, or that failed."""
        return self._stages.current if self._stages else None

    def carry_out(self) -> None:
        """All stages, then what is measured. Raises Stopped when asked to end; what is kept is timed."""
        try:
            self._prepare()
            self._build()
            if self.recipe.measure.robustness:
                self._robustness()
        except Stopped as stopped:
            if stopped.keep:
                self.joined.leave()
                self._measure()
            raise
        self._measure()

    def emit(self, kind: str, **facts: Any) -> None:
        """Writes an event, and notes the stages that it finishes. Each epoch is written once: a stage that begins again
        reports the same numbers."""
        if kind == "epoch":
            if facts["epoch"] <= self._last_epoch.get(facts["stage"], 0):
                return
            self._last_epoch[facts["stage"]] = facts["epoch"]
        if kind == "stage" and facts["state"] in ("done", "reused"):
            title = next(stage.title for stage in self.plan.stages if stage.key == facts["stage"])
            reused, seconds = facts["state"] == "reused", facts["seconds"]
            self._finished[facts["stage"]] = {
                "stage": title, "key": facts["stage"], "reused": reused, "seconds": seconds,
            }  # fmt: skip
        self.log(kind, **facts)

    def _prepare(self) -> None:
        builder = builder_of(self.workspace, self.recipe, self.plan)
        dataset = builder.dataset
        show(self.workspace.dataset(dataset.fingerprint), dataset)
        sizes = self._sizes(dataset)
        timing, corrupted = measuring_seconds(self.recipe.measure.timing_seconds), 0.0
        if self.recipe.measure.robustness:
            corrupted = robustness_seconds(self.plan, sizes, self.workspace)
        self.timed_from = corrupted / (timing + corrupted) if corrupted else 0.0
        self._stages = Stages(
            self.workspace, self.plan, builder,
            emit=self.emit, check=self.check, elsewhere=self.joined.begun,
        )  # fmt: skip
        self.emit("weights", weights=weights(self.plan, sizes), session=timing + corrupted)

    def _build(self) -> None:
        assert self._stages
        self.joined.listen(self.emit)
        self._stages.build(self.plan.stages)
        self.joined.finish()
        for stage in self.plan.stages:
            if stage.key not in self._finished:  # whoever built it has gone before it could say so
                self.emit("stage", stage=stage.key, state="reused", seconds=0.0)

    def _sizes(self, dataset: Dataset) -> dict[str, int]:
        sizes = {}
        for name, options in architectures(self.plan).items():
            network = models.create(
                options, len(dataset.classes), dataset.shape, dataset.mean, dataset.std, fetch=False
            )
            sizes[name] = macs(network, dataset.shape) // dataset.kind.in_one(dataset.shape)
        return sizes

    def _robustness(self) -> None:
        def report(progress: float) -> None:
            self.check()
            self.emit("session", state="running", progress=self.timed_from * progress)

        robustness(self.workspace, [self.plan], on_progress=report)

    def _measure(self) -> None:
        seconds = self.recipe.measure.timing_seconds
        first = [variant.keys[0] for variant in self.plan.variants]
        files = deployed(self.workspace, first)
        if not seconds or not files or not self.workspace.complete(first[0]):
            return
        shape = tuple(self.plan.dataset["shape"])
        self.session = measure(
            self.workspace, [self.run.name], files, next(iter(files)), shape, seconds, emit=self.emit, check=self.check,
            begin=self.timed_from, openvino=fingerprints([self.plan]) if self.recipe.measure.openvino else None,
        )  # fmt: skip


def fingerprints(plans: Iterable[Plan]) -> dict[str, str]:
    """The data set of each model that a timing session of these plans times."""
    return {variant.keys[0]: plan.dataset["fingerprint"] for plan in plans for variant in plan.variants}


def measure(
    workspace: Workspace,
    runs: Iterable[str],
    files: dict[str, Path],
    reference: str,
    shape: Shape,
    seconds: float,
    *,
    emit: Callable[..., None],
    check: Callable[[], None],
    begin: float = 0.0,
    openvino: Mapping[str, str] | None = None,
) -> str:
    """One timing session over these models; writes it to the workspace and returns its id. Raises Stopped.

    Where there is a GPU, as many `seconds` again go to the latency of their networks on it. `begin`: the share of all
    measuring, 0..1, that is done already. `openvino`: the data set of each model, to time all in OpenVINO too.
    """
    gpu = machine.device() == "cuda"
    emit("session", state="running", progress=begin)
    log.info("timing %d models together", len(files))

    def report(progress: float) -> None:
        check()
        emit("session", state="running", progress=begin + (1 - begin) * progress * (0.5 if gpu else 1))

    document = timing.session(
        files, reference, shape, seconds=seconds, lengths=True, openvino=openvino is not None, on_progress=report
    )
    if openvino is not None:
        add_agreement(workspace, document["openvino"], files, openvino)
    if gpu:
        document["cuda"] = _on_gpu(files, shape, seconds, check)
    session = f"{time.strftime('%y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
    write_json(
        workspace.sessions / f"{session}.json",
        {**document, "id": session, "created": time.time(), "runs": list(runs)},
    )
    emit("session", state="done", progress=1.0, session=session)
    log.info("timing session %s written", session)
    return session


def _on_gpu(files: dict[str, Path], shape: Shape, seconds: float, check: Callable[[], None]) -> dict[str, Any]:
    """The latency of the networks that these files were exported from, or the reason why there is none."""
    folders = {key: file.parent if gives(file.parent) == "features" else None for key, file in files.items()}
    try:
        return cuda.session(folders, shape, cuda.Gpu(), seconds=seconds, heard=check)
    except RuntimeError as error:  # what was measured of the files is not lost by it
        log.warning("no GPU latency: %s", error)
        return {"reason": str(error), "models": {}}


def environment() -> dict[str, Any]:
    """What a run records of the machine that carried it out."""
    return machine.describe() | {"device": machine.device()}


def _last_epochs(path: Path) -> dict[str, int]:
    """The last epoch of each stage in the run's events."""
    last: dict[str, int] = {}
    for event in read(path).events:
        if event["type"] == "epoch":
            last[event["stage"]] = max(last.get(event["stage"], 0), event["epoch"])
    return last
