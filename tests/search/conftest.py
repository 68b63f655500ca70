"""A search of seconds: tiny networks, few trials, one of them killed and taken up again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from filelock import FileLock

from kdcore.jobs import api, worker
from kdcore.search import smallest
from kdcore.search.request import parse
from kdcore.workspace import shapes
from kdcore.workspace.workspace import Workspace
from tests.small import small

STEPS = ("teacher.train.steps=20", "train.steps=10", "compress=[]", "seeds=[0,1]", "data.validation=0.3")


def document(*assignments, **asked):
    """A search in JSON, under 6 kB, with these changes of the recipe and of the search."""
    usual = {"at_most": {"size_bytes": 6000}, "lose_at_most": 100, "trials": 3, "timing_seconds": 0, "minutes": None}
    return {"recipe": small(*STEPS, *assignments).document(), **usual, **asked}


@pytest.fixture(scope="session")
def searched():
    """A workspace with a finished search, the search's run and what it found; made by the first process that asks."""
    home = Path(os.environ["KDCORE_HOME"]) / "searched"
    with FileLock(home.with_suffix(".lock")), pytest.MonkeyPatch.context() as patch:
        patch.setattr(smallest, "least", lambda workspace, search: {})  # has a test of its own
        workspace = Workspace(home).ensure()
        if not workspace.run_ids():
            carry_out(workspace, api.search(workspace, parse(document())))
    [run] = workspace.run_ids()
    return workspace, run, shapes.search(workspace.run(run))


def carry_out(workspace, run):
    """Does the run in this process as a worker would, but for its lock and its output."""
    work = worker._Work(workspace, workspace.run(run))
    assert work.carry_out() == "done", shapes.result(workspace.run(run))["error"]
