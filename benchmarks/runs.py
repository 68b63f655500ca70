"""Recipes run through the queue, as the command line does it."""

from __future__ import annotations

import sys

from kdcore.data.fetch import fetch
from kdcore.jobs import api
from kdcore.jobs.follow import follow
from kdcore.recipe import Recipe
from kdcore.workspace import shapes
from kdcore.workspace.state import state
from kdcore.workspace.workspace import Workspace


def carry_out(asked: Recipe) -> tuple[Workspace, str]:
    """The workspace, and the id of the finished run; its progress goes to standard error.

    Raises SystemExit with the run's error when it did not finish.
    """
    fetch(asked.data.source)
    workspace = Workspace().ensure()
    return workspace, _done(workspace, api.submit(workspace, asked))


def resumed(asked: Recipe) -> tuple[Workspace, str]:
    """The same, going on with the workspace's run of this Recipe where there is one."""
    fetch(asked.data.source)
    workspace = Workspace().ensure()
    found = [run_id for run_id in workspace.run_ids() if shapes.asked(workspace.run(run_id)) == asked.document()]
    if not found:
        return workspace, _done(workspace, api.submit(workspace, asked))
    if state(workspace.run(found[-1])) != "done":
        api.request(workspace, found[-1], "run")
    return workspace, _done(workspace, found[-1])


def _done(workspace: Workspace, run_id: str) -> str:
    for row in follow(workspace, run_id):
        print(f"\r{row.state} {100 * row.progress:5.1f} %  {row.stage:60.60}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    if row.state != "done":
        raise SystemExit(f"{run_id}: {row.state}: {row.error}")
    return run_id
