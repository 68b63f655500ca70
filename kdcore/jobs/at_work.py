"""What has a slot of the dispatcher: a run's worker, or one that helps it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from kdcore.files import Damaged, read_json, write_json
from kdcore.jobs.heartbeat import Watch
from kdcore.jobs.launcher import Job
from kdcore.jobs.process import PATIENCE_SECONDS, end_worker
from kdcore.workspace import shapes
from kdcore.workspace.state import state


class LeftBehind:
    """The worker of an earlier dispatcher, known by the lock that it holds."""

    def __init__(self, folder: Path):
        self._folder = folder
        self.about: dict[str, Any] = {}

    def lives(self) -> bool:
        try:
            return state(self._folder) in ("running", "stopping")
        except Damaged:  # or moved to the trash
            return False

    def condition(self) -> str:
        return ""

    def failed(self) -> bool:
        return False

    def end(self) -> None:
        end_worker(self._folder, patience=0.0)


class AtWork:
    """A worker in one slot, or in several. `helps`: it builds stages of a run that another one holds."""

    def __init__(self, folder: Path, slots: tuple[int, ...], job: Job, *, helps: bool = False):
        self.folder, self.slots, self.job, self.helps = folder, slots, job, helps
        self.run_id = folder.name
        self._watch: Watch | None = None
        self._asked: float | None = None
        self._said = ""

    def goes_on(self) -> bool:
        """False when it has ended. Notes what its launcher says of it and when it falls silent, and ends it where a
        cancel was asked for in vain."""
        if not self.job.lives():
            return False
        if self.helps:
            return True
        try:
            self._note()
            if shapes.meta(self.folder)["requested"] in ("cancel", "delete"):
                self._asked = self._asked or time.monotonic()
        except (Damaged, OSError):
            return True  # moved to the trash under our eyes, or damaged: then it is only waited for
        if self._asked and time.monotonic() - self._asked > PATIENCE_SECONDS:
            end_worker(self.folder, patience=0.0)
            self._asked = time.monotonic()
        return True

    def _note(self) -> None:
        said = self.job.condition()
        if said != self._said:
            self._said = said
            path = self.folder / "status.json"
            write_json(path, read_json(path) | {"condition": said})
        if said not in ("", "RUNNING"):
            self._watch = None  # what has not begun gives no signs of life
            return
        self._watch = self._watch or Watch(self.folder)
        self._watch.look()
