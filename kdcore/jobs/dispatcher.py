"""The dispatcher: one process a workspace that launches workers in the order of the queue, one in each slot.

A slot that no run needs helps another one: a further worker there builds stages of the same run.

It may be killed at any time: workers go on, and the next dispatcher finds them by their locks.
"""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from filelock import Timeout

from kdcore import registry
from kdcore.files import Damaged, lock, write_json
from kdcore.jobs import webhook
from kdcore.jobs.heartbeat import Watch
from kdcore.jobs.process import PATIENCE_SECONDS, code, code_on_disk, end_worker, start
from kdcore.workspace import shapes, slots
from kdcore.workspace.state import SETTLED, files, state
from kdcore.workspace.workspace import Workspace

IDLE_SECONDS = 60.0
EVERY_SECONDS = 0.25
MOST_ATTEMPTS = 3
BEGAN = time.time()  # when this process did


class Next(NamedTuple):
    run_id: str
    folder: Any
    turn: int
    attempt: int
    code: int
    running: bool = False  # left behind by a dispatcher that was killed


def dispatch(workspace: Workspace, idle_seconds: float = IDLE_SECONDS, asked: int | None = None) -> int:
    """Serves the queue until it has been empty for a while, or newer code was submitted. Returns the exit code.

    `asked`: how many workers run at a time; None: as the settings say.
    """
    workspace.ensure()
    code()  # what this process runs, remembered before it changes
    holding = lock(workspace.root / "dispatcher.lock", timeout=1.0)
    while True:
        try:
            holding.acquire()
        except Timeout:
            return 0  # another one is at work
        try:
            _write(workspace, [])
            _Dispatcher(workspace, asked).serve(idle_seconds)
        finally:
            holding.release()
        waiting = _pending(workspace, {})
        if not waiting:
            return 0
        if _newer(waiting):
            if code_on_disk() > code():
                start(workspace, "dispatch")
            return 0
        # else a run was submitted while this one was leaving


def _newer(waiting: list[Next]) -> bool:
    """Whether a waiting run was submitted by newer code than this process runs."""
    return any(item.code > code() for item in waiting)


def _pending(workspace: Workspace, known: dict[str, int]) -> list[Next]:
    """Runs that want to go on, in the order of the queue. `known` remembers what is settled, by time of change."""
    waiting = []
    for run_id in workspace.run_ids():
        folder = workspace.runs / run_id
        try:
            changed = (folder / "meta.json").stat().st_mtime_ns
            if known.get(run_id) == changed:
                continue
            seen = files(folder)
            now = state(folder, seen)
            if now in SETTLED:
                known[run_id] = changed
                continue
        except (Damaged, OSError):
            continue
        if seen.meta["requested"] == "run":
            attempt = seen.status["attempt"] if seen.status else 0
            item = Next(run_id, folder, seen.meta["turn"], attempt, seen.meta.get("code", 0), now == "running")
            waiting.append((shapes.place(seen.meta), run_id, item))
    return [item for _, _, item in sorted(waiting)]


def _lives(process: subprocess.Popen[bytes]) -> bool:
    return process.poll() is None


def _holds(folder: Path) -> bool:
    """Whether the worker of another dispatcher is still at work."""
    try:
        return state(folder) in ("running", "stopping")
    except Damaged:  # or moved to the trash
        return False


def _write(workspace: Workspace, at_work: list[shapes.Slot]) -> None:
    write_json(workspace.root / "dispatcher.json", {"process": os.getpid(), "started": BEGAN, "slots": at_work})


class _AtWork:
    """A process in a slot. `lives` answers at once; `helps`: builds stages of a run that another one holds."""

    def __init__(self, item: Next, slot: int, lives: Callable[[], bool], helper: subprocess.Popen[bytes] | None = None):
        self.item, self.slot, self.helper = item, slot, helper
        self._lives, self._watch = lives, Watch(item.folder)
        self._asked: float | None = None

    def goes_on(self) -> bool:
        """False when it has ended. Notes when it falls silent, and ends it where a cancel was asked for in vain."""
        if not self._lives():
            return False
        if self.helper:
            return True
        try:
            self._watch.look()
            if shapes.meta(self.item.folder)["requested"] in ("cancel", "delete"):
                self._asked = self._asked or time.monotonic()
        except (Damaged, OSError):
            return True  # moved to the trash under our eyes, or damaged: then it is only waited for
        if self._asked and time.monotonic() - self._asked > PATIENCE_SECONDS:
            end_worker(self.item.folder, patience=0.0)
        return True

    def make_room(self) -> None:
        """Ends a helper where it stands: what it was building goes on from its checkpoint."""
        if self.helper:
            self.helper.kill()
            self.helper.wait()


class _Dispatcher:
    def __init__(self, workspace: Workspace, asked: int | None):
        self.workspace, self.asked = workspace, asked
        self.known: dict[str, int] = {}
        self.working: list[_AtWork] = []
        self.unaided: set[str] = set()  # runs whose helper failed

    def serve(self, idle_seconds: float) -> None:
        """Returns when nothing has been at work for a while, or newer code was submitted and nothing is at work."""
        idle_since = time.monotonic()
        while self.working or time.monotonic() - idle_since < idle_seconds:
            self._look()
            waiting = self._waiting()
            if _newer(waiting):
                if not self.working:
                    return
            else:
                self._fill(waiting)
            if self.working:
                idle_since = time.monotonic()
            time.sleep(EVERY_SECONDS)

    def _look(self) -> None:
        """Takes those that have ended out of their slots."""
        ended = [one for one in self.working if not one.goes_on()]
        for one in ended:
            self.working.remove(one)
            if not one.helper:
                self._tell(one.item)
            elif one.helper.returncode:
                self.unaided.add(one.item.run_id)

    def _tell(self, item: Next) -> None:
        threading.Thread(target=webhook.tell, args=(self.workspace, item.run_id)).start()

    def _waiting(self) -> list[Next]:
        """Runs that wait for a slot; those whose workers an earlier dispatcher has left behind come first."""
        taken = {one.item.run_id for one in self.working if not one.helper}
        if len(taken) >= self._slots():
            return []
        waiting = [item for item in _pending(self.workspace, self.known) if item.run_id not in taken]
        return sorted(waiting, key=lambda item: not item.running)

    def _slots(self) -> int:
        return self.asked or slots.count(self.workspace)

    def _fill(self, waiting: list[Next]) -> None:
        before = self._shown()
        for item in waiting:
            if (slot := self._free()) is None:
                break
            self._start(item, slot)
        if not waiting:
            self._help()
        if self._shown() != before:
            _write(self.workspace, self._shown())

    def _shown(self) -> list[shapes.Slot]:
        return [
            {"slot": one.slot, "run": one.item.run_id, "helps": one.helper is not None}
            for one in sorted(self.working, key=lambda one: one.slot)
        ]

    def _free(self) -> int | None:
        """A slot that nobody works in, or that a helper leaves for it."""
        free = set(range(self._slots())) - {one.slot for one in self.working}
        if free:
            return min(free)
        for one in self.working:
            if one.helper and one.slot < self._slots():
                one.make_room()
                self.working.remove(one)
                return one.slot
        return None

    def _help(self) -> None:
        """Puts a slot that is free to work on a run that has stages for it."""
        free = set(range(self._slots())) - {one.slot for one in self.working}
        wanting = [one.item for one in self.working if not one.helper and self._wants_help(one.item)] if free else []
        for item in wanting[:1]:
            slot = min(free)
            process = start(self.workspace, "build", item.run_id, environment=slots.environment(slot))
            self.working.append(_AtWork(item, slot, partial(_lives, process), process))

    def _wants_help(self, item: Next) -> bool:
        there = sum(one.item.run_id == item.run_id for one in self.working)
        return item.run_id not in self.unaided and slots.stages_to_share(self.workspace, item.run_id) > there

    def _start(self, item: Next, slot: int) -> None:
        if item.running:
            self.working.append(_AtWork(item, slot, partial(_holds, item.folder)))
            return
        if item.attempt >= MOST_ATTEMPTS:
            self._fail(item)
            self._tell(item)
            return
        launcher = registry.entry("launcher", "local").implementation
        worker = launcher(self.workspace, item.run_id, slots.environment(slot))
        status = {
            "attempt": item.attempt + 1,
            "turn": item.turn,
            "process": worker.pid,
            "host": socket.gethostname(),
            "started": time.time(),
        }
        write_json(item.folder / "status.json", status)
        self.working.append(_AtWork(item, slot, partial(_lives, worker)))

    def _fail(self, item: Next) -> None:
        with lock(item.folder / "lock"):
            result = {
                "state": "failed",
                "turn": item.turn,
                "error": f"the worker crashed {MOST_ATTEMPTS} times; see log.txt",
                "started": None,
                "finished": time.time(),
                "stages": [],
                "session": None,
                "environment": {},
            }
            write_json(item.folder / "result.json", result)
