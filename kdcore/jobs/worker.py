"""The worker: does one run, in a process of its own that holds the run's lock."""

from __future__ import annotations

import logging
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from filelock import Timeout

from kdcore.execute.joined import join
from kdcore.files import lock, require_locks, write_json
from kdcore.jobs.control import StopSignal
from kdcore.jobs.process import end_children
from kdcore.problems import explained
from kdcore.workspace import shapes
from kdcore.workspace.state import files
from kdcore.workspace.workspace import Workspace

log = logging.getLogger("kdcore")
EXIT_CODES = {"done": 0, "failed": 1, "damaged": 1, "cancelled": 130}


def work(workspace: Workspace, run_id: str) -> int:
    """Does the run and returns the exit code. Raises UnknownRun, NoLocks.

    The lock is taken before torch is imported. What the worker prints goes to the run's `log.txt`.
    """
    folder = workspace.run(run_id)
    require_locks(workspace.root)
    holding = lock(folder / "lock")
    try:
        holding.acquire()
    except Timeout:
        print(f"{run_id}: another worker is already running it", file=sys.stderr)
        return 1
    try:
        if files(folder).result:  # a job that waited while another one did the run
            print(f"{run_id}: has ended already", file=sys.stderr)
            return 0
        _log_to(folder / "log.txt")
        return EXIT_CODES[_Work(workspace, folder).carry_out()]
    finally:
        holding.release()


def _log_to(path: Path) -> None:
    with path.open("ab") as file:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            os.dup2(file.fileno(), stream.fileno())
    logging.basicConfig(stream=sys.stdout, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    log.setLevel(logging.INFO)


class _Work:
    def __init__(self, workspace: Workspace, folder: Path):
        self.workspace, self.folder = workspace, folder
        self.turn = shapes.meta(folder)["turn"]
        self.started = time.time()
        self.execution: Any = None
        self.control = StopSignal(folder, self._give_up)

    def carry_out(self) -> str:
        """Does the work and writes the result; returns the state."""
        log.info("turn %d, process %d", self.turn, os.getpid())
        state, error, remedy = "done", None, None
        try:
            self._execute()
        except BaseException as problem:
            state, error = self._explain(problem)
            remedy = self._remedy(problem)
        if remedy:
            error = f"{error}. Start a new run with {remedy['path']}={remedy['value']}"
        self.control.finish()
        log.info("%s", state if error is None else f"{state}: {error}")
        self._write(state, error, remedy)
        return state

    def _execute(self) -> None:
        joined = join(self.workspace, self.folder)  # its libraries load while this process loads its own
        try:
            from kdcore.jobs.tasks import task

            self.execution = task(self.workspace, self.folder, self.control.check, joined)
            self.execution.carry_out()
        finally:
            joined.leave()

    def _explain(self, problem: BaseException) -> tuple[str, str | None]:
        from kdcore.execute.run import Stopped

        if isinstance(problem, Stopped):
            return "cancelled", None
        traceback.print_exception(problem)
        return "failed", explained(problem)

    def _remedy(self, problem: BaseException) -> dict[str, Any] | None:
        """The one change to the Recipe with which it would go on, as a new run: another batch is another experiment."""
        from kdcore.train.memory import OutOfMemory

        if not isinstance(problem, OutOfMemory) or not problem.fits:
            return None
        where = "teacher.train" if self.execution.current.role == "teacher" else "train"
        return {"path": f"{where}.batch_size", "value": problem.fits}

    def _write(self, state: str, error: str | None, remedy: dict[str, Any] | None) -> None:
        from kdcore.execute.run import environment

        result = {
            "state": state,
            "turn": self.turn,
            "error": error,
            "remedy": remedy,
            "started": self.started,
            "finished": time.time(),
            "stages": self.execution.stages if self.execution else [],
            "session": self.execution.session if self.execution else None,
            "environment": environment(),
            "summary": self._summary(),
        }
        write_json(self.folder / "result.json", result)

    def _summary(self) -> dict[str, Any]:
        from kdcore.report.comparison import summary

        own = getattr(self.execution, "summary", None)
        try:
            return own() if own else summary(self.workspace, self.folder.name)
        except Exception as problem:  # the run has ended, whatever its files look like
            traceback.print_exception(problem)
            return {}

    def _give_up(self) -> None:
        """Ends this process where it stands. Finished models are whole; the lock is freed by the kernel."""
        log.info("cancelled; ended at once")
        end_children()
        os._exit(EXIT_CODES["cancelled"])
