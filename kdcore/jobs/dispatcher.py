"""The dispatcher: one process a workspace that launches workers in the order of the queue, one in each slot.

A run that trains on several devices takes as many slots as have that many GPUs, and waits for them at its turn.

A slot that no run needs helps another one: a further worker there builds stages of the same run.

It may be killed at any time: workers go on, and the next dispatcher finds them by their locks.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

from filelock import Timeout

from kdcore.files import Damaged, lock, require_locks, write_json
from kdcore.jobs import launcher, webhook
from kdcore.jobs.at_work import AtWork, LeftBehind
from kdcore.jobs.launcher import Job, Launcher, Refused, Unreachable
from kdcore.jobs.process import code, code_on_disk, start
from kdcore.registry import Options
from kdcore.workspace import events, shapes, slots
from kdcore.workspace.state import SETTLED, files, state
from kdcore.workspace.workspace import Workspace

log = logging.getLogger(__name__)

IDLE_SECONDS = 60.0
EVERY_SECONDS = 0.25
MOST_ATTEMPTS = 3
AGAIN_SECONDS = 30.0  # until a launcher that did not answer is asked again
BEGAN = time.time()  # when this process did


class Next(NamedTuple):
    run_id: str
    folder: Any
    turn: int
    status: shapes.Status | None
    code: int
    running: bool = False  # left behind by a dispatcher that was killed


def dispatch(
    workspace: Workspace, idle_seconds: float = IDLE_SECONDS, asked: int | None = None, where: Options | None = None
) -> int:
    """Serves the queue until it has been empty for a while, or newer code was submitted. Returns the exit code.

    `asked`: how many workers run at a time, `where`: the launcher; None: as the settings say.
    """
    require_locks(workspace.ensure().root)
    code()  # what this process runs, remembered before it changes
    holding = lock(workspace.root / "dispatcher.lock", timeout=1.0)
    while True:
        try:
            holding.acquire()
        except Timeout:
            return 0  # another one is at work
        try:
            _write(workspace, [])
            _Dispatcher(workspace, asked, where).serve(idle_seconds)
        finally:
            holding.release()
        waiting = pending(workspace, {})
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


def pending(workspace: Workspace, known: dict[str, int]) -> list[Next]:
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
            item = Next(run_id, folder, seen.meta["turn"], seen.status, seen.meta.get("code", 0), now == "running")
            waiting.append((shapes.place(seen.meta), run_id, item))
    return [item for _, _, item in sorted(waiting)]


def _epochs(folder: Path) -> int:
    """How many epochs the run has finished by now."""
    try:
        return sum(event["type"] == "epoch" for event in events.read(folder / "events.jsonl").events)
    except Damaged:
        return 0


def _write(workspace: Workspace, at_work: list[shapes.Slot]) -> None:
    write_json(workspace.root / "dispatcher.json", {"process": os.getpid(), "started": BEGAN, "slots": at_work})


class _Dispatcher:
    def __init__(self, workspace: Workspace, asked: int | None, where: Options | None = None):
        self.workspace, self.asked, self.where = workspace, asked, where
        self.known: dict[str, int] = {}
        self.working: list[AtWork] = []
        self.unaided: set[str] = set()  # runs whose helper failed
        self.pause_until = 0.0  # the launcher did not answer

    def serve(self, idle_seconds: float) -> None:
        """Returns when nothing has been at work for a while, or newer code was submitted and nothing is at work."""
        idle_since = time.monotonic()
        while self.working or time.monotonic() - idle_since < idle_seconds:
            self._look()
            waiting = self._waiting()
            if _newer(waiting):
                if not self.working:
                    return
            elif time.monotonic() > self.pause_until:
                self._fill(waiting)
            if self.working:
                idle_since = time.monotonic()
            time.sleep(EVERY_SECONDS)

    def _look(self) -> None:
        """Takes those that have ended out of their slots, and helpers of runs that have."""
        for one in [one for one in self.working if not one.goes_on()]:
            self.working.remove(one)
            if not one.helps:
                self._tell(one.run_id)
            elif one.job.failed():
                self.unaided.add(one.run_id)
        led = {one.run_id for one in self.working if not one.helps}
        for one in [one for one in self.working if one.helps and one.run_id not in led]:
            self._remove(one)

    def _remove(self, helper: AtWork) -> None:
        """Ends a helper where it stands: what it was building goes on from its checkpoint."""
        helper.job.end()
        self.working.remove(helper)

    def _tell(self, run_id: str) -> None:
        threading.Thread(target=webhook.tell, args=(self.workspace, run_id)).start()

    def _waiting(self) -> list[Next]:
        """Runs that wait for a slot; those whose workers an earlier dispatcher has left behind come first."""
        taken = {one.run_id for one in self.working if not one.helps}
        if len(taken) >= self._slots():
            return []
        waiting = [item for item in pending(self.workspace, self.known) if item.run_id not in taken]
        return sorted(waiting, key=lambda item: not item.running)

    def _launcher(self) -> Launcher:
        made = launcher.of(self.where) if self.where else launcher.chosen(self.workspace)
        made.asked = self.asked
        return made

    def _slots(self) -> int:
        return self.asked or slots.count(self.workspace, self._launcher().slots)

    def _fill(self, waiting: list[Next]) -> None:
        before = self._shown()
        try:
            for item in waiting:
                if not (room := self._room(item.run_id)):
                    break
                self._start(item, room)
            if not waiting:
                self._help()
        except Unreachable as error:
            log.warning("%s", error)
            self.pause_until = time.monotonic() + AGAIN_SECONDS
        if self._shown() != before:
            _write(self.workspace, self._shown())

    def _shown(self) -> list[shapes.Slot]:
        return [
            {"slot": slot, "run": one.run_id, "helps": one.helps}
            for one in sorted(self.working, key=lambda one: one.slots)
            for slot in one.slots
        ]

    def _free(self) -> list[int]:
        """The slots that nobody works in."""
        return sorted(set(range(self._slots())) - {slot for one in self.working for slot in one.slots})

    def _room(self, run_id: str) -> tuple[int, ...]:
        """Slots for a run that nobody works in, or that helpers leave for it; none while there are too few."""
        wanted = slots.devices(self.workspace, run_id) if self._launcher().local else 1
        free, helpers = self._free(), [one for one in self.working if one.helps and one.slots[0] < self._slots()]
        for number in range(len(helpers) + 1):
            left = [slot for one in helpers[:number] for slot in one.slots]
            if found := slots.enough([*free, *left], self._slots(), wanted):
                for one in helpers[:number]:
                    self._remove(one)
                return tuple(sorted(found))
        return ()

    def _help(self) -> None:
        """Puts a slot that is free to work on a run that has stages for it."""
        free = self._free()
        wanting = [one for one in self.working if not one.helps and self._wants_help(one)] if free else []
        for one in wanting[:1]:
            try:
                job = self._launcher().launch(self.workspace, "build", one.run_id, (free[0],))
            except Refused as refused:
                log.warning("%s: no further worker: %s", one.run_id, refused)
                self.unaided.add(one.run_id)
                return
            self.working.append(AtWork(one.folder, (free[0],), job, helps=True))

    def _wants_help(self, one: AtWork) -> bool:
        there = sum(other.run_id == one.run_id for other in self.working)
        most = self._launcher().workers or there + 1
        if one.run_id in self.unaided or there >= most:
            return False
        return slots.stages_to_share(self.workspace, one.run_id) > there

    def _start(self, item: Next, room: tuple[int, ...]) -> None:
        before = launcher.job_of(item.status)
        if before and before.lives():
            self.working.append(AtWork(item.folder, room, before))
        elif item.running:
            self.working.append(AtWork(item.folder, room, LeftBehind(item.folder)))
        elif wrong := self._given_up(item, before):
            self._fail(item, wrong)
        else:
            self._launch(item, room, self._attempts(item))

    def _attempts(self, item: Next) -> int:
        """How many there were; of a job, which the cluster may end, only those since an epoch was finished."""
        if not item.status:
            return 0
        mark = item.status.get("epochs")
        return item.status["attempt"] if mark is None or _epochs(item.folder) <= mark else 0

    def _given_up(self, item: Next, before: Job | None) -> str:
        """Why the run is not started again; empty where it is."""
        said = before.condition() if before else ""
        job = f" ({launcher.named(item.status)}: {said})" if item.status and said else ""
        if said == launcher.CANCELLED:
            return f"its job was cancelled from outside{job}"
        if self._attempts(item) >= MOST_ATTEMPTS:
            return f"the worker crashed {MOST_ATTEMPTS} times{job}; see log.txt"
        return ""

    def _launch(self, item: Next, room: tuple[int, ...], attempts: int) -> None:
        try:
            job = self._launcher().launch(self.workspace, "worker", item.run_id, room)
        except Refused as refused:
            self._fail(item, str(refused))
            return
        status = {"attempt": attempts + 1, "turn": item.turn, **job.about, "started": time.time()}
        if "job" in job.about:
            status["epochs"] = _epochs(item.folder)
        write_json(item.folder / "status.json", status)
        self.working.append(AtWork(item.folder, room, job))

    def _fail(self, item: Next, error: str) -> None:
        with lock(item.folder / "lock"):
            result = {
                "state": "failed",
                "turn": item.turn,
                "error": error,
                "started": None,
                "finished": time.time(),
                "stages": [],
                "session": None,
                "environment": {},
            }
            write_json(item.folder / "result.json", result)
        self._tell(item.run_id)
