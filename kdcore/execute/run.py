"""Plan -> models on disk, then their robustness where that is wanted, and one timing session over all variants."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from filelock import Timeout

from kdcore import machine, models
from kdcore.data.dataset import Dataset, load
from kdcore.data.splits import split
from kdcore.execute.builder import Builder
from kdcore.execute.robustness import robustness
from kdcore.files import lock, read_json, replacing, write_json
from kdcore.measure import cuda, timing
from kdcore.models.cost import macs
from kdcore.plan.estimate import architectures, measuring_seconds, robustness_seconds, weights
from kdcore.recipe import Recipe
from kdcore.workspace.events import EventLog, history, read
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
    """One Recipe being carried out. `emit` is the run's event log; `check` raises Stopped."""

    def __init__(self, workspace: Workspace, run: Path, recipe: Recipe, plan: Plan, check: Callable[[], None]):
        self.workspace, self.recipe, self.plan, self.check = workspace, recipe, plan, check
        self.emit = EventLog(run / "events.jsonl")
        self.run_id = run.name
        self.told = _told(run / "events.jsonl")
        self.stages: list[dict[str, Any]] = []
        self.session: str | None = None
        self.timed_from = 0.0  # share of the measuring that comes before the timing session

    def carry_out(self) -> None:
        """All stages in order, then what is measured. Raises Stopped when asked to end; what is kept is timed."""
        try:
            self._prepare()
            for stage in self.plan.stages:
                self.check()
                self._stage(stage)
            if self.recipe.measure.robustness:
                self._robustness()
        except Stopped as stopped:
            if stopped.keep:
                self._measure()
            raise
        self._measure()

    def _prepare(self) -> None:
        dataset = load(self.recipe.data.source)
        self.shares = split(dataset, self.recipe.data)
        _show(self.workspace.dataset(dataset.fingerprint), dataset)
        self.builder = Builder(self.workspace, dataset, self.shares, self.recipe.data.hide_classes, self.plan.files)
        sizes = self._sizes(dataset)
        timing, corrupted = measuring_seconds(self.recipe.measure.timing_seconds), 0.0
        if self.recipe.measure.robustness:
            corrupted = robustness_seconds(self.plan, sizes, self.workspace)
        self.timed_from = corrupted / (timing + corrupted) if corrupted else 0.0
        self.emit("weights", weights=weights(self.plan, sizes), session=timing + corrupted)

    def _sizes(self, dataset: Dataset) -> dict[str, int]:
        sizes = {}
        for name, options in architectures(self.plan).items():
            network = models.create(
                options, len(dataset.classes), dataset.shape, dataset.mean, dataset.std, fetch=False
            )
            sizes[name] = macs(network, dataset.shape)
        return sizes

    def _stage(self, stage: Stage) -> None:
        started = time.perf_counter()
        if self.workspace.complete(stage.key):
            self._tell(stage, "reused", 0.0)
            return
        folder = self.workspace.model(stage.key)
        folder.mkdir(parents=True, exist_ok=True)
        holding = self._acquire(stage, folder)
        try:
            if self.workspace.complete(stage.key):  # another run trained it while this one waited
                self._tell(stage, "reused", 0.0)
                return
            self.emit("stage", stage=stage.key, state="running")
            log.info("%s: started", stage.title)
            self._catch_up(stage, folder)
            self.builder.build(
                stage,
                on_epoch=lambda row: self.emit("epoch", stage=stage.key, **row),
                on_phase=lambda phase: self.emit("phase", stage=stage.key, phase=phase),
                check=self.check,
            )
            self._tell(stage, "done", time.perf_counter() - started)
        finally:
            holding.release()

    def _acquire(self, stage: Stage, folder: Path) -> Any:
        holding = lock(folder / "lock", timeout=1.0)
        waiting = False
        while True:
            try:
                holding.acquire()
                return holding
            except Timeout:
                if not waiting:
                    self.emit("stage", stage=stage.key, state="waiting")
                    log.info("%s: waiting for another run that is training it", stage.title)
                    waiting = True
                self.check()

    def _catch_up(self, stage: Stage, folder: Path) -> None:
        """Tells the epochs that a killed worker had made safe but not told."""
        checkpoint = folder / "checkpoint" / "progress.json"
        if not checkpoint.exists():
            return
        for row in history(folder / "history.jsonl", read_json(checkpoint)["history_bytes"]):
            if row["epoch"] > self.told.get(stage.key, 0):
                self.emit("epoch", stage=stage.key, **row)

    def _tell(self, stage: Stage, state: str, seconds: float) -> None:
        self.stages.append({"stage": stage.title, "key": stage.key, "reused": state == "reused", "seconds": seconds})
        self.emit("stage", stage=stage.key, state=state, seconds=seconds)
        log.info("%s: %s%s", stage.title, state, f" in {seconds:.1f} s" if seconds else "")

    def _robustness(self) -> None:
        def told(progress: float) -> None:
            self.check()
            self.emit("session", state="running", progress=self.timed_from * progress)

        robustness(self.workspace, [self.plan], on_progress=told)

    def _measure(self) -> None:
        seconds = self.recipe.measure.timing_seconds
        first = [variant.keys[0] for variant in self.plan.variants]
        files = deployed(self.workspace, first)
        if not seconds or not files or not self.workspace.complete(first[0]):
            return
        shape = tuple(self.plan.dataset["shape"])
        self.session = measure(
            self.workspace, [self.run_id], files, next(iter(files)), shape, seconds, emit=self.emit, check=self.check,
            begin=self.timed_from,
        )  # fmt: skip


def measure(
    workspace: Workspace,
    runs: Iterable[str],
    files: dict[str, Path],
    reference: str,
    shape: tuple[int, ...],
    seconds: float,
    *,
    emit: EventLog,
    check: Callable[[], None],
    begin: float = 0.0,
) -> str:
    """One timing session over these models; writes it to the workspace and returns its id. Raises Stopped.

    Where there is a GPU, as many `seconds` again go to the latency of their networks on it. `begin`: the share of all
    measuring, 0..1, that is done already.
    """
    gpu = machine.device() == "cuda"
    emit("session", state="running", progress=begin)
    log.info("timing %d models together", len(files))

    def told(progress: float) -> None:
        check()
        emit("session", state="running", progress=begin + (1 - begin) * progress * (0.5 if gpu else 1))

    document = timing.session(files, reference, shape, seconds=seconds, on_progress=told)
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


def _on_gpu(
    files: dict[str, Path], shape: tuple[int, ...], seconds: float, check: Callable[[], None]
) -> dict[str, Any]:
    """The latency of the networks that these files were exported from, or the reason why there is none."""
    folders = {key: file.parent if gives(file.parent) == "features" else None for key, file in files.items()}
    try:
        return cuda.session(folders, shape, cuda.Gpu(), seconds=seconds, heard=check)
    except RuntimeError as error:  # what was measured of the files is not lost by it
        log.warning("no latency on the GPU: %s", error)
        return {"reason": str(error), "models": {}}


def environment() -> dict[str, Any]:
    """What a run records of the machine that carried it out."""
    return machine.describe() | {"device": machine.device()}


def _told(path: Path) -> dict[str, int]:
    """The last epoch of each stage that the run has already told."""
    told: dict[str, int] = {}
    for event in read(path).events:
        if event["type"] == "epoch":
            told[event["stage"]] = max(told.get(event["stage"], 0), event["epoch"])
    return told


def _show(folder: Path, dataset: Dataset) -> None:
    """Leaves the test images where the pages find them."""
    if (folder / "info.json").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in (("test_images", dataset.test_images), ("test_labels", dataset.test_labels)):
        with replacing(folder / f"{name}.npy") as temporary, temporary.open("wb") as file:
            np.save(file, array)
    info = {"name": dataset.name, "classes": list(dataset.classes), "shape": list(dataset.shape)}
    write_json(folder / "info.json", info)
