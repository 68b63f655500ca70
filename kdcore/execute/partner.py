"""A second process that builds stages of the same run on a core that would be idle.

Models are the same, bit for bit, whichever process builds them. The partner sends its events to the worker, which alone
writes to the run's files. It ends with the worker, however that ends, and the worker does without it when it fails.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, cast

import psutil

from kdcore.files import read_json
from kdcore.plan.processes import processes
from kdcore.workspace.workspace import Workspace

log = logging.getLogger(__name__)

LEAVE_SECONDS = 5.0


class Partner:
    """The worker's side. Without a process it does nothing."""

    def __init__(self, process: subprocess.Popen[str] | None = None):
        self._process = process
        self._begun: set[str] = set()
        self._listener: threading.Thread | None = None

    def begun(self) -> frozenset[str]:
        """The keys of the stages that the partner has begun."""
        return frozenset(self._begun)

    def listen(self, emit: Callable[..., None]) -> None:
        """Passes the partner's events on from now; call it once."""
        if self._process:
            events = cast(IO[str], self._process.stdout)
            self._listener = threading.Thread(target=self._pass_on, args=(emit, events), daemon=True)
            self._listener.start()

    def finish(self) -> None:
        """Returns when the partner has gone, which it does by itself when all stages are complete."""
        if self._process:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(LEAVE_SECONDS)
        self.leave()

    def leave(self) -> None:
        """Ends the partner where it stands; returns when its events are all passed on."""
        if not self._process:
            return
        cast(IO[str], self._process.stdin).close()
        try:
            self._process.wait(LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._listener:
            self._listener.join()

    def _pass_on(self, emit: Callable[..., None], events: IO[str]) -> None:
        for line in events:
            event = json.loads(line)
            if event["type"] == "stage":
                self._begun.add(event["stage"])
            emit(event.pop("type"), **event)


def join(workspace: Workspace, run: Path) -> Partner:
    """A partner for the run's worker, or none where it would not pay. No torch."""
    due = [stage for stage in workspace.plan(run.name).stages if not workspace.complete(stage.key)]
    if processes(due) == 1:
        return Partner()
    log.info("a second process builds stages in parallel")
    command = [sys.executable, "-m", "kdcore.execute.partner", str(workspace.root), run.name]
    return Partner(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))


def work(workspace: Workspace, run: Path, emit: Callable[..., None]) -> None:
    """Builds stages of the run until all are complete; the last seeds first, so that it meets the worker halfway."""
    from kdcore.execute.builder import builder_of
    from kdcore.execute.stages import Stages
    from kdcore.recipe import parse

    recipe, plan = parse(read_json(run / "recipe.json")), workspace.plan(run.name)
    stages = Stages(workspace, plan, builder_of(workspace, recipe, plan), emit=emit, check=lambda: None)
    stages.build(sorted(plan.stages, key=lambda stage: -stage.seed))


def main(root: str, run_id: str) -> None:
    """The partner's process: events go to standard output, one JSON line each; all else to standard error."""
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s beside: %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("kdcore").setLevel(logging.INFO)
    events = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    threading.Thread(target=_end_with_the_worker, daemon=True).start()
    _yield_to_the_page()

    def emit(kind: str, **facts: Any) -> None:
        if facts.get("state") not in ("reused", "waiting"):  # the worker sees those itself
            print(json.dumps({"type": kind, **facts}, allow_nan=False), file=events)

    workspace, code = Workspace(root), 0
    try:
        work(workspace, workspace.run(run_id), emit)
    except Exception:
        log.exception("the partner ends; the worker goes on without it")
        code = 1
    os._exit(code)  # an ordinary exit would wait for the thread that reads the pipe


def _end_with_the_worker() -> None:
    """The pipe ends when the worker does. What was not finished goes on from its checkpoint."""
    os.read(sys.stdin.fileno(), 1)
    os._exit(0)


def _yield_to_the_page() -> None:
    psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS if os.name == "nt" else 5)


if __name__ == "__main__":
    main(*sys.argv[1:])
