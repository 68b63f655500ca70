"""Real runs, carried out by real dispatchers and workers, in workspaces of their own."""

from __future__ import annotations

import time

import pytest

from kdcore.jobs import api
from kdcore.jobs.follow import follow
from kdcore.workspace.workspace import Workspace
from tests import patience


@pytest.fixture
def workspace(tmp_path):
    made = Workspace(tmp_path / "workspace").ensure()
    yield made
    api.stop_all(made)
    deadline = time.monotonic() + patience.SECONDS
    while api.queue(made).dispatcher and time.monotonic() < deadline:
        time.sleep(0.1)


@pytest.fixture(scope="session")
def of_a_local_run(tmp_path_factory):
    """Digests of the models that a cluster's must equal."""
    from tests.jobs import lost_nodes

    return lost_nodes.local(tmp_path_factory.mktemp("local") / "workspace")


EVERY_SECONDS = 0.02
ON_A_CLUSTER = ("train.steps=1200", "seeds=[0]", "controls=[]", "compress=[]")  # long enough to be disturbed


def until(condition, seconds=patience.SECONDS, sign=lambda: None):
    """Waits for what must come true; fails when it does not, though `sign` has not changed for so long.

    The time is that of this process's own pauses: a machine that is busy or stands still does not count.
    """
    left, last = seconds, sign()
    while not (value := condition()):
        if (now := sign()) != last:
            left, last = seconds, now
        assert left > 0, "it did not happen in time"
        time.sleep(EVERY_SECONDS)
        left -= EVERY_SECONDS
    return value


def life(folder):
    """A sign of life of a run: when something in its folder last changed."""
    return lambda: max(path.lstat().st_mtime_ns for path in (folder, *folder.glob("*")) if path.exists())


def settle(workspace, run_id):
    """The run's last row, once it is settled."""
    *_, row = follow(workspace, run_id)
    return row
