"""Starting and ending our own processes, on every system: no fork, no signals needed."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import psutil

from kdcore.files import Damaged, held, read_json
from kdcore.jobs.launcher import Job, job_of
from kdcore.paths import CHECKOUT, data_home
from kdcore.workspace import shapes
from kdcore.workspace.state import HEARTBEAT, process
from kdcore.workspace.workspace import Workspace

PATIENCE_SECONDS = 1.75  # that a worker has to end by itself: it hears within 0.5 s, and takes 1 s
GRACE_SECONDS = 0.25
DETACHED = 0x00000008 | 0x00000200  # Windows: DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP


@cache
def code() -> int:
    """When the engine's code was last changed (ns), as this process runs it."""
    return code_on_disk()


def code_on_disk() -> int:
    """When the engine's code was last changed (ns), as a process started now would run it."""
    package = Path(__file__).resolve().parent.parent
    return max(path.stat().st_mtime_ns for path in package.rglob("*.py"))


def surroundings(workspace: Workspace) -> dict[str, str]:
    """What a worker finds in its environment, wherever it runs: where this workspace, data and code are."""
    return {
        "KDCORE_HOME": str(workspace.root),
        "KDCORE_DATA": str(data_home()),
        "PYTHONPATH": os.pathsep.join(filter(None, (str(CHECKOUT), os.environ.get("PYTHONPATH")))),
    }


def start(
    workspace: Workspace, *arguments: str, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Starts `python -m kdcore ARGUMENTS` in a session of its own, for this workspace, with this `environment` too."""
    variables = os.environ | surroundings(workspace) | dict(environment or {})
    windows = os.name == "nt"
    return subprocess.Popen(
        [sys.executable, "-m", "kdcore", *arguments],
        env=variables,
        cwd=workspace.root,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        close_fds=True,
        start_new_session=not windows,
        creationflags=DETACHED if windows else 0,
    )


def end_children() -> None:
    """Kills everything that this process has started."""
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()


def end_worker(folder: Path, patience: float = PATIENCE_SECONDS) -> bool:
    """Ends the worker of the run in `folder`, and what it has started, when it has not ended by itself in `patience`.

    Returns whether no worker of the run lives any more; one on another host that is no job cannot be ended from here.
    """
    deadline = time.monotonic() + patience
    job = _job(folder)
    while (living := _workers(folder)) or (job and held(folder / "lock")):
        if time.monotonic() > deadline:
            for worker in living:
                _end_tree(worker)
            break
        time.sleep(0.05)
    if job:
        job.end()  # also one that has not begun
    return not _workers(folder) and not held(folder / "lock")


def _job(folder: Path) -> Job | None:
    with contextlib.suppress(Damaged):
        return job_of(shapes.status(folder))
    return None


def _workers(folder: Path) -> list[psutil.Process]:
    """The processes that were launched for the run, and that hold its lock: on Windows two, elsewhere one."""
    found = []
    for name in ("status.json", HEARTBEAT):
        with contextlib.suppress(Damaged, OSError, LookupError, TypeError, ValueError, OverflowError):
            found.append(process(read_json(folder / name)))
    return [one for one in found if one and one.pid != os.getpid()]


def _end_tree(root: psutil.Process) -> None:
    """Asks for the end of a process and all that it has started, then kills what is left."""
    tree = [root]
    with contextlib.suppress(psutil.NoSuchProcess):
        tree += root.children(recursive=True)
    for one in tree:
        with contextlib.suppress(psutil.Error):
            one.terminate()
    _, left = psutil.wait_procs(tree, timeout=GRACE_SECONDS)
    for one in left:
        with contextlib.suppress(psutil.Error):
            one.kill()
    psutil.wait_procs(left, timeout=GRACE_SECONDS)
