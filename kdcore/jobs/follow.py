"""Following a run from outside, for whoever started it."""

from __future__ import annotations

import time
from collections.abc import Iterator

from kdcore.jobs.api import ensure_dispatcher, queue
from kdcore.workspace.index import Index, RunRow
from kdcore.workspace.state import SETTLED
from kdcore.workspace.workspace import UnknownRun, Workspace

EVERY_SECONDS = 0.25
LOOK_SECONDS = 5.0  # how often to see to it that a dispatcher lives


def follow(workspace: Workspace, run_id: str) -> Iterator[RunRow]:
    """The run's row in the index, again and again, until it is settled. Raises UnknownRun when it is deleted."""
    index = Index(workspace)
    looked = 0.0
    while True:
        if time.monotonic() - looked > LOOK_SECONDS:
            ensure_dispatcher(workspace)
            looked = time.monotonic()
        index.sync(run_id)
        row = index.run(run_id)
        if row is None:
            raise UnknownRun(f"run {run_id} was deleted")
        yield row
        if row.state in SETTLED:
            return
        time.sleep(EVERY_SECONDS)


def ahead(workspace: Workspace, run_id: str) -> int:
    """How many runs come before this one in the queue."""
    runs = queue(workspace).runs
    return runs.index(run_id) if run_id in runs else 0
