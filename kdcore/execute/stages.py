"""Taking the stages of a plan: each is built once, under its model's lock, by whichever process takes it first."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from filelock import Timeout

from kdcore.execute.builder import Builder
from kdcore.execute.sound import make_room, sound
from kdcore.files import lock
from kdcore.workspace.plans import Plan, Stage
from kdcore.workspace.workspace import Workspace

log = logging.getLogger(__name__)

PAUSE_SECONDS = 0.05  # between two looks at stages that another process holds

Emit = Callable[..., None]


class Stages:
    """The stages of one run. `emit` hears events, `check` raises to end the run.

    `elsewhere` holds the keys of the stages that others have begun: their events say so already.
    """

    def __init__(
        self,
        workspace: Workspace,
        plan: Plan,
        builder: Builder,
        *,
        emit: Emit,
        check: Callable[[], None],
        elsewhere: Callable[[], frozenset[str]] = frozenset,
    ):
        self.workspace, self.builder, self.emit, self.check = workspace, builder, emit, check
        self.elsewhere = elsewhere
        self.current: Stage | None = None
        self._planned = {stage.key for stage in plan.stages}
        self._waiting: set[str] = set()

    def build(self, stages: Sequence[Stage]) -> None:
        """Returns when all of these are complete: the first that is ready and free comes first. Raises what a stage
        raises, and what `check` raises."""
        pending = list(stages)
        while pending:
            self.check()
            finished = next((stage for stage in pending if self._take(stage)), None)
            if finished:
                pending.remove(finished)
            else:
                time.sleep(PAUSE_SECONDS)

    def _take(self, stage: Stage) -> bool:
        """Whether the stage is complete now. False when its inputs are not, or when another process holds it."""
        if sound(self.workspace, stage.key):
            self._reuse(stage)
            return True
        if not self._ready(stage):
            return False
        folder = self.workspace.model(stage.key)
        folder.mkdir(parents=True, exist_ok=True)
        holding = lock(folder / "lock", timeout=0)
        try:
            holding.acquire()
        except Timeout:
            self._wait(stage)
            return False
        try:
            if sound(self.workspace, stage.key):  # another process completed it meanwhile
                self._reuse(stage)
            else:
                self._build(stage)
        finally:
            holding.release()
        return True

    def _ready(self, stage: Stage) -> bool:
        return all(sound(self.workspace, key) for key in stage.inputs if key in self._planned)

    def _build(self, stage: Stage) -> None:
        started = time.perf_counter()
        self.current = stage
        if reason := make_room(self.workspace, stage):
            self.emit("damaged", stage=stage.key, reason=reason)
        self.emit("stage", stage=stage.key, state="running")
        log.info("%s: started", stage.title)
        self.builder.build(
            stage,
            on_epoch=lambda row: self.emit("epoch", stage=stage.key, **row),
            on_phase=lambda phase: self.emit("phase", stage=stage.key, phase=phase),
            check=self.check,
        )
        seconds = time.perf_counter() - started
        log.info("%s: done in %.1f s", stage.title, seconds)
        self.emit("stage", stage=stage.key, state="done", seconds=seconds)
        self.current = None

    def _reuse(self, stage: Stage) -> None:
        if stage.key not in self.elsewhere():
            log.info("%s: reused", stage.title)
            self.emit("stage", stage=stage.key, state="reused", seconds=0.0)

    def _wait(self, stage: Stage) -> None:
        if stage.key not in self._waiting and stage.key not in self.elsewhere():
            self._waiting.add(stage.key)
            self.emit("stage", stage=stage.key, state="waiting")
            log.info("%s: waiting for the process that is building it", stage.title)
