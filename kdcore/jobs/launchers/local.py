"""Workers as processes of this machine."""

from __future__ import annotations

import subprocess

from kdcore.jobs.process import start
from kdcore.registry import register
from kdcore.workspace.workspace import Workspace


@register("launcher", "local", "A background process on this machine")
def launch(workspace: Workspace, run_id: str) -> subprocess.Popen[bytes]:
    """Starts the worker of a run; it outlives whoever started it."""
    return start(workspace, "worker", run_id)
