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


def until(condition, seconds=patience.SECONDS):
    """Waits for what must come true; fails when it does not."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return value


def settle(workspace, run_id):
    """The run's last row, once it is settled."""
    *_, row = follow(workspace, run_id)
    return row
