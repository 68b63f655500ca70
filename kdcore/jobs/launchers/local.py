"""Workers as processes of this machine."""

from __future__ import annotations

import socket
import subprocess
from typing import Any

from kdcore.jobs.launcher import Command, Job, Launcher
from kdcore.jobs.process import start
from kdcore.registry import register
from kdcore.workspace import slots
from kdcore.workspace.workspace import Workspace


class Process:
    """A process that this one has started."""

    def __init__(self, process: subprocess.Popen[bytes]):
        self._process = process
        self.about: dict[str, Any] = {"process": process.pid, "host": socket.gethostname()}

    def lives(self) -> bool:
        return self._process.poll() is None

    def condition(self) -> str:
        return ""

    def failed(self) -> bool:
        return bool(self._process.returncode)

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


@register("launcher", "local", "Background processes on this machine")
class Local(Launcher):
    """The GPUs are divided among the slots."""

    local = True

    def launch(self, workspace: Workspace, command: Command, run_id: str, chosen: tuple[int, ...]) -> Job:
        environment = slots.environment(chosen, self.asked or slots.count(workspace))
        return Process(start(workspace, command, run_id, environment=environment))

    def check(self, workspace: Workspace) -> str:
        return "workers are processes of this machine"
