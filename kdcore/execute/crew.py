"""The processes that train one network together, a device each: started, watched and ended by the worker.

Each runs `kdcore.execute.taking_part`; the arithmetic is in `kdcore.train.team`. What they leave is the stage's
checkpoint. The worker itself takes no part, so whatever happens to one of them, it can say so and end the others. Each
reads its order as the first line of its standard input, whose end tells it that the worker has gone.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from kdcore import machine
from kdcore.files import Damaged, read_json
from kdcore.recipe import Data
from kdcore.workspace import slots
from kdcore.workspace.events import history
from kdcore.workspace.plans import Stage
from kdcore.workspace.workspace import Workspace

log = logging.getLogger(__name__)

MODULE = "kdcore.execute.taking_part"
LOOK_SECONDS = 0.1
OTHERS_SECONDS = 1.0  # after one has failed: until the others have said whether they failed before it


class Failed(RuntimeError):
    """A process failed; the message says which, and why."""


class Work(NamedTuple):
    """What is trained: the stage, and what its builder knows, as in `Builder`."""

    workspace: Workspace
    stage: Stage
    data: Data
    files: dict[str, str]


class Order(NamedTuple):
    """What one process reads: the work as JSON, its `rank` among so many `devices`, and the folder where all meet."""

    workspace: str
    stage: dict[str, Any]
    data: dict[str, Any]
    files: dict[str, str]
    rank: int
    devices: int
    meeting: str


def train(
    work: Work, count: int, scratch: Path, *, on_epoch: Callable[[dict[str, Any]], None], check: Callable[[], None]
) -> None:
    """Trains the network of a stage on `count` devices, up to its last checkpoint.

    `scratch`: a folder for files that are removed at the end. `on_epoch` hears each row of the history, as in
    `loop.fit`; `check` is called all the time and may raise to stop. Raises Failed, and ValueError where this worker
    has too few GPUs.
    """
    if machine.gpus() and len(slots.gpus()) < count:
        raise ValueError(f"devices is {count}, but this worker has {len(slots.gpus())} GPUs: see docs/cluster.md")
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch, ignore_cleanup_errors=True) as meeting:
        _Crew(work, count, Path(meeting)).see_it_through(on_epoch, check)


class _Crew:
    def __init__(self, work: Work, count: int, meeting: Path):
        self.work, self.count, self.meeting = work, count, meeting
        self.heard = 0
        self.parts: list[subprocess.Popen[str]] = []

    def see_it_through(self, on_epoch: Callable[[dict[str, Any]], None], check: Callable[[], None]) -> None:
        try:
            for rank in range(self.count):
                self.parts.append(self._start(rank))
            log.info(
                "trained by %d processes together: %s", self.count, ", ".join(str(part.pid) for part in self.parts)
            )
            while any(part.poll() is None for part in self.parts) and not self._fallen():
                check()
                self._hear(on_epoch)
                time.sleep(LOOK_SECONDS)
            self._hear(on_epoch)
            if self._fallen():
                raise Failed(self._reason())
        finally:
            for part in self.parts:
                part.kill()
                part.wait()
                with contextlib.suppress(OSError):  # it did not read its order
                    if part.stdin:
                        part.stdin.close()

    def _start(self, rank: int) -> subprocess.Popen[str]:
        part = subprocess.Popen(
            [sys.executable, "-m", MODULE],
            env=os.environ | _surroundings(self.work.workspace, rank),
            stdin=subprocess.PIPE,
            encoding="utf-8",
        )
        work = self.work
        order = Order(
            str(work.workspace.root), work.stage.model_dump(mode="json"), work.data.model_dump(mode="json"),
            dict(work.files), rank, self.count, str(self.meeting),
        )  # fmt: skip
        assert part.stdin
        with contextlib.suppress(OSError):  # it has died already, and its exit code says so
            part.stdin.write(json.dumps(order._asdict()) + "\n")
            part.stdin.flush()
        return part

    def _hear(self, on_epoch: Callable[[dict[str, Any]], None]) -> None:
        """Passes on what the first process has said of its epochs."""
        for row in history(rows_file(self.meeting))[self.heard :]:
            self.heard += 1
            on_epoch(row)

    def _fallen(self) -> list[int]:
        return [rank for rank, part in enumerate(self.parts) if part.poll()]

    def _reason(self) -> str:
        """Why the first to fail did: the others fail for want of it. One that was killed could not say anything."""
        deadline = time.monotonic() + OTHERS_SECONDS
        while any(part.poll() is None for part in self.parts) and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS / 4)
        silent = [rank for rank in self._fallen() if not failure_file(self.meeting, rank).exists()]
        if silent:
            code = self.parts[silent[0]].returncode
            return f"{self._named(silent[0])} crashed ({_exit(code)}); see log.txt"
        said = {rank: _said(failure_file(self.meeting, rank)) for rank in self._fallen()}
        first = min(said, key=lambda rank: said[rank]["time"])
        return f"{said[first]['error']} ({self._named(first)})"

    def _named(self, rank: int) -> str:
        return f"process {rank + 1} of the {self.count} that train together"


def rows_file(meeting: Path) -> Path:
    """Where the first process says what it has made of each epoch."""
    return meeting / "history.jsonl"


def failure_file(meeting: Path, rank: int) -> Path:
    """Where a process says why it failed, and when."""
    return meeting / f"failed-{rank}.json"


def _said(path: Path) -> dict[str, Any]:
    try:
        return read_json(path)
    except Damaged as error:
        return {"time": float("inf"), "error": str(error)}


def _exit(code: int) -> str:
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"


def _surroundings(workspace: Workspace, rank: int) -> dict[str, str]:
    """A GPU of its own where there are GPUs, and connections among processes of this machine alone."""
    variables = {"KDCORE_HOME": str(workspace.root), "TORCH_CPP_LOG_LEVEL": "ERROR"}
    if gpus := slots.gpus():
        variables["CUDA_VISIBLE_DEVICES"] = gpus[rank]
    if own := _loopback():
        variables |= {"GLOO_SOCKET_IFNAME": own, "NCCL_SOCKET_IFNAME": own}
    return variables


def _loopback() -> str | None:
    """The name of the network interface that nobody else reaches."""
    if os.name == "nt":
        return None
    found = psutil.net_if_addrs().items()
    return next((name for name, addresses in found if any(one.address == "127.0.0.1" for one in addresses)), None)
