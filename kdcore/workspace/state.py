"""What state a run is in, read from its files and from the lock that its worker holds."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from kdcore.files import held
from kdcore.workspace import shapes
from kdcore.workspace.shapes import Meta, Result, Status

if TYPE_CHECKING:
    import psutil

State = Literal["queued", "waiting", "running", "stopping", "cancelled", "failed", "interrupted", "done", "damaged"]
SETTLED = ("cancelled", "failed", "done", "damaged")
ENDING = ("stop", "cancel", "delete")
HEARTBEAT = "heartbeat"  # of the run's worker, in the run's folder
JOBS = "jobs"  # in the run's folder: scripts and logs of the jobs that another system launched for it
CLOCK_SLACK = 2.0  # s; a process that began later than this after the launch only has the worker's number


class Files(NamedTuple):
    """The JSON files that tell a run's state. A status and a result of an earlier turn do not count."""

    meta: Meta
    status: Status | None
    result: Result | None


def files(folder: Path) -> Files:
    """What the files in `folder` say now. Raises Damaged."""
    meta, status, result = shapes.meta(folder), shapes.status(folder), shapes.result(folder)
    if status and status["turn"] != meta["turn"]:
        status = None
    if result and result["turn"] != meta["turn"]:
        result = None
    return Files(meta, status, result)


def state(folder: Path, known: Files | None = None) -> State:
    """The state of the run in `folder`. `waiting` follows from the events, and not here. Raises Damaged."""
    meta, status, result = known or files(folder)
    if result:
        return result["state"]
    ending = meta["requested"] in ENDING
    if held(folder / "lock") or _starting(status):
        return "stopping" if ending else "running"
    if ending:
        return "cancelled"
    crashed = status and status["attempt"] and "job" not in status  # a job waits for its turn in another queue
    return "interrupted" if crashed else "queued"


def ended(folder: str) -> bool:
    """Whether the run has a result of its present turn. Its files are read again only when they have changed.

    The folder's path is text, for a look at thousands of runs: joining paths takes longer than the file system.
    Raises Damaged.
    """
    try:
        return _ended(folder, *(os.stat(f"{folder}/{name}").st_mtime_ns for name in ("meta.json", "result.json")))
    except FileNotFoundError:
        return False


@cache  # without a bound: beyond it, a look at all runs in turn would find none of them
def _ended(folder: str, _meta_written: int, _result_written: int) -> bool:
    return files(Path(folder)).result is not None


def _starting(status: Status | None) -> bool:
    """Whether the worker of this attempt lives but may not have come to its lock yet: Python starts in seconds."""
    return process(status) is not None


def process(about: Mapping[str, Any] | None) -> psutil.Process | None:
    """The living process that `process`, `host` and `started` tell of; None on another host, or where it has ended."""
    if not about or "process" not in about or about["host"] != socket.gethostname():
        return None
    import psutil

    try:
        found = psutil.Process(about["process"])
        lives = found.status() != psutil.STATUS_ZOMBIE and found.create_time() <= about["started"] + CLOCK_SLACK
        lives = lives and any("kdcore" in part for part in found.cmdline())  # a damaged file may name any process
    except psutil.Error:
        return None
    return found if lives else None


def beat(folder: Path) -> int | None:
    """What changes with each heartbeat of a run's worker; None before the first."""
    try:
        with (folder / HEARTBEAT).open("rb") as file:  # opened: a network file system then asks its server
            return os.fstat(file.fileno()).st_mtime_ns
    except OSError:
        return None


def silent_since(folder: Path, status: Mapping[str, Any]) -> float | None:
    """Since when (Unix seconds) the worker gives no sign of life, as the dispatcher found; None where it does."""
    silent = status.get("silent")
    return silent["since"] if silent and silent["heartbeat"] == beat(folder) else None
