"""Further processes that build stages of a run: on an idle core here, or on any machine that shares the workspace.

Models are the same, bit for bit, whichever process builds them. A further process writes its events to a file of its
own in the run's folder; the run's worker, which alone writes to `events.jsonl`, passes them on. It leaves when the
worker does, however that ends, and the worker does without it when it fails.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from kdcore.files import Damaged, held, read_json
from kdcore.plan.processes import processes
from kdcore.workspace import shapes, slots
from kdcore.workspace.events import EventLog, read
from kdcore.workspace.state import ENDING, HEARTBEAT
from kdcore.workspace.workspace import Workspace

log = logging.getLogger(__name__)

FOLDER = "joined"  # in the run's: the events of each further process
LEFT = ".left"  # ends the name of the file of one that has left
LISTEN_SECONDS = 0.2
LOOK_SECONDS = 0.5
LEAVE_SECONDS = 5.0


class Joined:
    """The worker's side. Without a run it does nothing. `process`: the one that the worker has started itself."""

    def __init__(self, run: Path | None = None, process: subprocess.Popen[bytes] | None = None):
        self._folder = run / FOLDER if run else None
        self._worker = leader(run) if run else None
        self._process = process
        self._begun: set[str] = set()
        self._offsets: dict[str, int] = {}
        self._turn = threading.Lock()
        self._over = threading.Event()
        self._emit: Callable[..., None] | None = None
        self._listener: threading.Thread | None = None

    def begun(self) -> frozenset[str]:
        """The keys of the stages that others have begun by now."""
        self._hear()
        return frozenset(self._begun)

    def listen(self, emit: Callable[..., None]) -> None:
        """Passes the others' events on from now; call it once."""
        if self._folder:
            self._emit = emit
            self._listener = threading.Thread(target=self._keep_hearing, daemon=True)
            self._listener.start()

    def finish(self) -> None:
        """Returns when all others have gone, which they do by themselves when all stages are complete."""
        deadline = time.monotonic() + LEAVE_SECONDS
        while self._present() and time.monotonic() < deadline:
            time.sleep(LISTEN_SECONDS / 4)
        self.leave()

    def leave(self) -> None:
        """Ends the process that the worker has started; returns when all events are passed on. Call it at the end."""
        if self._process and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._over.set()
        if self._listener:
            self._listener.join()
            self._listener = None
            self._hear()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _keep_hearing(self) -> None:
        while not self._over.wait(LISTEN_SECONDS):
            self._hear()

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob(f"{self._worker}.*.jsonl*")) if self._folder else []

    def _present(self) -> bool:
        """Whether a further process may still be at work."""
        ended = f".{self._process.pid}.jsonl" if self._process and self._process.poll() is not None else None
        there = [path.name for path in self._files() if not path.name.endswith(LEFT)]
        started = self._process is not None and ended is None
        return started or any(not (ended and name.endswith(ended)) for name in there)

    def _hear(self) -> None:
        if not self._emit:
            return
        with self._turn:
            for path in self._files():
                self._pass_on(path, self._emit)

    def _pass_on(self, path: Path, emit: Callable[..., None]) -> None:
        name = path.name.removesuffix(LEFT)
        with contextlib.suppress(Damaged):
            arrived = read(path, self._offsets.get(name, 0))
            self._offsets[name] = max(arrived.offset, self._offsets.get(name, 0))
            for event in arrived.events:
                if event["type"] == "stage":
                    self._begun.add(event["stage"])
                facts: dict[str, Any] = {key: value for key, value in event.items() if key not in ("t", "type")}
                emit(event["type"], **facts)


def leader(run: Path) -> str | None:
    """Which worker holds the run, as a name for files; None before it has said so."""
    try:
        known = read_json(run / HEARTBEAT)
        return f"{int(known['process'])}-{int(1000 * known['started'])}"
    except (Damaged, OSError, KeyError, TypeError, ValueError, OverflowError):
        return None


def join(workspace: Workspace, run: Path) -> Joined:
    """What the run's worker has: others may join it, and where it pays a second process does so at once. No torch."""
    due = [stage for stage in workspace.plan(run.name).stages if not workspace.complete(stage.key)]
    shutil.rmtree(run / FOLDER, ignore_errors=True)  # of an earlier worker
    if slots.count(workspace) > 1 or processes(due) == 1:  # of several slots, those that are idle join by themselves
        return Joined(run)
    log.info("a second process builds stages in parallel")
    command = [sys.executable, "-m", "kdcore", "build", run.name]
    environment = os.environ | {"KDCORE_HOME": str(workspace.root)}
    return Joined(run, subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL))


def build(workspace: Workspace, run: Path) -> None:
    """Builds stages of a run that a worker holds, until all are complete or the worker has gone.

    The last seeds first, so that it meets the worker halfway. Where the worker goes, this process ends where it stands:
    what was not finished goes on from its checkpoint.
    """
    worker = leader(run)
    if worker is None or not wanted(run, worker):
        return
    threading.Thread(target=_end_with, args=(run, worker), daemon=True).start()
    yield_to_the_page()
    (run / FOLDER).mkdir(exist_ok=True)
    path = run / FOLDER / f"{worker}.{socket.gethostname().replace('.', '-')}.{os.getpid()}.jsonl"
    events = EventLog(path)
    try:
        _build(workspace, run, events)
    finally:
        events.close()
        with contextlib.suppress(OSError):
            path.rename(f"{path}{LEFT}")


def _build(workspace: Workspace, run: Path, events: EventLog) -> None:
    from kdcore.execute.builder import builder_of
    from kdcore.execute.stages import Stages
    from kdcore.recipe import parse

    def emit(kind: str, **facts: Any) -> None:
        if facts.get("state") not in ("reused", "waiting"):  # the worker sees those itself
            events(kind, **facts)

    recipe, plan = parse(read_json(run / "recipe.json")), workspace.plan(run.name)
    stages = Stages(workspace, plan, builder_of(workspace, recipe, plan), emit=emit, check=lambda: None)
    stages.build(sorted(plan.stages, key=lambda stage: -stage.seed))


def wanted(run: Path, worker: str) -> bool:
    """Whether the worker lives, and nobody has asked for the run's end."""
    try:
        return leader(run) == worker and held(run / "lock") and shapes.meta(run)["requested"] not in ENDING
    except Damaged:
        return False


def _end_with(run: Path, worker: str) -> None:
    while wanted(run, worker):
        time.sleep(LOOK_SECONDS)
    os._exit(0)


def yield_to_the_page() -> None:
    """Lowers this process's priority."""
    psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS if os.name == "nt" else 5)
