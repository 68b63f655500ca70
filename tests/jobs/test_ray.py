"""A real Ray of one node: `pytest -m slow tests/jobs/test_ray.py`, where `ray[default]` is installed."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import tempfile

import pytest

from kdcore.files import read_json
from kdcore.jobs import api, launcher, probe
from kdcore.workspace import settings
from tests import clusters
from tests.jobs import lost_nodes
from tests.jobs.conftest import ON_A_CLUSTER, life, settle, until
from tests.jobs.test_runs import digests, epochs, synced
from tests.small import small

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster():
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True))
        try:
            cluster = stack.enter_context(clusters.ray(folder))
        except clusters.Missing as missing:
            pytest.skip(str(missing))
        yield cluster


def test_doctor_s_job_sees_the_workspace(cluster, workspace, monkeypatch):
    monkeypatch.setattr(probe, "WAIT_SECONDS", math.inf)
    settings.write(workspace, launcher={"launcher": "ray", "address": cluster.address})
    assert "sees the workspace and its locks" in launcher.chosen(workspace).check(workspace)
    nobody = launcher.in_words(["ray", f"address=http://127.0.0.1:{clusters.free_port()}"])
    with pytest.raises(launcher.Unreachable, match="does not answer"):
        launcher.of(nobody).check(workspace)


def test_a_run_is_cancelled_resumed_killed_and_leaves_the_models_of_a_local_one(cluster, workspace, of_a_local_run):
    settings.write(workspace, launcher={"launcher": "ray", "address": cluster.address})
    run_id = api.submit(workspace, small(*ON_A_CLUSTER))
    api.ensure_dispatcher(workspace)
    folder = workspace.run(run_id)
    until(lambda: len(epochs(workspace, run_id)) >= 2, sign=life(folder))
    first = read_json(folder / "status.json")
    assert synced(workspace).run(run_id).job == f"Ray job {first['job']} RUNNING"
    assert (folder / "jobs" / f"{first['job']}.log").is_file()
    api.request(workspace, run_id, "cancel")
    until(lambda: not launcher.job_of(first).lives())
    assert synced(workspace).run(run_id).state == "cancelled"
    api.request(workspace, run_id, "run")
    api.ensure_dispatcher(workspace)
    before = len(epochs(workspace, run_id))
    until(lambda: len(epochs(workspace, run_id)) > before, sign=life(folder))
    os.kill(read_json(folder / "heartbeat")["process"], signal.SIGKILL)
    row = settle(workspace, run_id)
    assert row.state == "done", row.error
    told = epochs(workspace, run_id)
    assert len(told) == len(set(told))
    assert digests(workspace) == of_a_local_run


def test_a_run_goes_on_when_there_is_a_node_again(cluster, workspace, of_a_local_run):
    found = lost_nodes.lose_ray_node(workspace, cluster, of_a_local_run)
    assert (found.state, found.twice, found.differ) == ("done", 0, 0)
