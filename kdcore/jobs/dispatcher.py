"""The dispatcher: one process a workspace that launches workers, one run at a time, in order.

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
from kdcore.workspace import shapes
from kdcore.workspace.state import SETTLED, files, state
from kdcore.workspace.workspace import Workspace

IDLE_SECONDS = 60.0
EVERY_SECONDS = 0.25
MOST_ATTEMPTS = 3


class Next(NamedTuple):
    run_id: str
    folder: Any
    turn: int
    attempt: int
    code: int


def dispatch(workspace: Workspace, idle_seconds: float = IDLE_SECONDS) -> int:
    """Serves the queue until it has been empty for a while, or newer code was submitted. Returns the exit code."""
    workspace.ensure()
    code()  # what this process runs, remembered before it changes
    holding = lock(workspace.root / "dispatcher.lock", timeout=1.0)
    while True:
        try:
            holding.acquire()
        except Timeout:
            return 0  # another one is at work
        try:
            write_json(workspace.root / "dispatcher.json", {"process": os.getpid(), "started": time.time()})
            _Dispatcher(workspace).serve(idle_seconds)
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
            if state(folder, seen) in SETTLED:
                known[run_id] = changed
                continue
        except (Damaged, OSError):
            continue
        if seen.meta["requested"] == "run":
            attempt = seen.status["attempt"] if seen.status else 0
            item = Next(run_id, folder, seen.meta["turn"], attempt, seen.meta.get("code", 0))
            waiting.append((seen.meta.get("order", 0.0), run_id, item))
    return [item for _, _, item in sorted(waiting)]


def _watch(folder: Path, lives: Callable[[], bool]) -> None:
    """Waits for the end of a worker: notes when it falls silent, and ends it where a cancel was asked for in vain.

    `lives` takes a moment before it answers.
    """
    watch, asked = Watch(folder), None
    while lives():
        try:
            watch.look()
            if shapes.meta(folder)["requested"] in ("cancel", "delete"):
                asked = asked or time.monotonic()
        except (Damaged, OSError):
            continue  # moved to the trash under our eyes, or damaged: then it is only waited for
        if asked and time.monotonic() - asked > PATIENCE_SECONDS:
            end_worker(folder, patience=0.0)


def _lives(worker: subprocess.Popen[bytes]) -> bool:
    try:
        worker.wait(EVERY_SECONDS)
    except subprocess.TimeoutExpired:
        return True
    return False


class _Dispatcher:
    def __init__(self, workspace: Workspace):
        self.workspace = workspace
        self.known: dict[str, int] = {}

    def serve(self, idle_seconds: float) -> None:
        idle_since = time.monotonic()
        while time.monotonic() - idle_since < idle_seconds:
            waiting = _pending(self.workspace, self.known)
            if not waiting:
                time.sleep(EVERY_SECONDS)
                continue
            if _newer(waiting):
                return
            item = self._running(waiting) or waiting[0]
            self._carry_out(item)
            threading.Thread(target=webhook.tell, args=(self.workspace, item.run_id)).start()
            idle_since = time.monotonic()

    def _running(self, waiting: list[Next]) -> Next | None:
        """A run whose worker lives: left behind by a dispatcher that was killed."""
        return next((item for item in waiting if state(item.folder) == "running"), None)

    def _carry_out(self, item: Next) -> None:
        if state(item.folder) == "running":
            self._follow(item)
            return
        if item.attempt >= MOST_ATTEMPTS:
            self._fail(item)
            return
        launcher = registry.entry("launcher", "local").implementation
        worker = launcher(self.workspace, item.run_id)
        status = {
            "attempt": item.attempt + 1,
            "turn": item.turn,
            "process": worker.pid,
            "host": socket.gethostname(),
            "started": time.time(),
        }
        write_json(item.folder / "status.json", status)
        _watch(item.folder, partial(_lives, worker))

    def _follow(self, item: Next) -> None:
        def lives() -> bool:
            time.sleep(EVERY_SECONDS)
            return item.folder.exists() and state(item.folder) in ("running", "stopping")

        _watch(item.folder, lives)

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
