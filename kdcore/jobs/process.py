"""Starting and ending our own processes, on every system: no fork, no signals needed."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import psutil

from kdcore.paths import CHECKOUT, data_home
from kdcore.workspace.workspace import Workspace

DETACHED = 0x00000008 | 0x00000200  # Windows: DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP


@cache
def code() -> int:
    """When the engine's code was last changed (ns), as this process runs it."""
    return code_on_disk()


def code_on_disk() -> int:
    """When the engine's code was last changed (ns), as a process started now would run it."""
    package = Path(__file__).resolve().parent.parent
    return max(path.stat().st_mtime_ns for path in package.rglob("*.py"))


def start(workspace: Workspace, *arguments: str) -> subprocess.Popen[bytes]:
    """Starts `python -m kdcore ARGUMENTS` in a session of its own, for this workspace."""
    environment = os.environ | {
        "KDCORE_HOME": str(workspace.root),
        "KDCORE_DATA": str(data_home()),
        "PYTHONPATH": os.pathsep.join(filter(None, (str(CHECKOUT), os.environ.get("PYTHONPATH")))),
    }
    windows = os.name == "nt"
    return subprocess.Popen(
        [sys.executable, "-m", "kdcore", *arguments],
        env=environment,
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
