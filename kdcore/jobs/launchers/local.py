"""Workers as processes of this machine."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping

from kdcore.jobs.process import start
from kdcore.registry import register
from kdcore.workspace.workspace import Workspace


@register("launcher", "local", "A background process on this machine")
def launch(workspace: Workspace, run_id: str, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Starts the worker of a run, with these environment variables too; it outlives whoever started it."""
    return start(workspace, "worker", run_id, environment=environment)
