"""A real Slurm of one node, as root. Debian: apt install slurmctld slurmd slurm-client munge.

Interruptions take minutes: `pytest tests/jobs/test_slurm.py` runs them too.
"""

from __future__ import annotations

import contextlib
import math
import subprocess

import pytest

from kdcore.files import held, read_json
from kdcore.jobs import api, launcher, probe
from kdcore.workspace import settings
from tests import clusters, patience
from tests.jobs import lost_nodes
from tests.jobs.conftest import ON_A_CLUSTER, life, settle, until
from tests.jobs.test_runs import digests, epochs, synced
from tests.small import small

ASKED = {"launcher": "slurm", "memory_gb": 2, "minutes": 30}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(clusters.slurm(tmp_path_factory.mktemp("slurm")))
        except clusters.Missing as missing:
            pytest.skip(str(missing))
        yield


def slurm_says(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=patience.SECONDS).stdout


def test_doctor_s_job_sees_the_workspace(cluster, workspace, monkeypatch):
    monkeypatch.setattr(probe, "WAIT_SECONDS", math.inf)
    settings.write(workspace, launcher=ASKED)
    assert "sees the workspace and its locks" in launcher.chosen(workspace).check(workspace)
    settings.write(workspace, launcher=ASKED | {"partition": "nowhere"})
    with pytest.raises(launcher.Refused, match="partition"):
        launcher.chosen(workspace).check(workspace)


def test_a_short_run_is_done_by_a_job(cluster, workspace):
    settings.write(workspace, launcher=ASKED)
    run_id = api.submit(workspace, small("controls=[]", "compress=[]", "seeds=[0]", "measure.timing_seconds=0"))
    row = settle(workspace, run_id)
    assert row.state == "done", row.error
    folder = workspace.run(run_id)
    assert read_json(folder / "status.json")["job"] in "".join(path.name for path in (folder / "jobs").iterdir())


@pytest.mark.slow
def test_a_run_is_requeued_cancelled_resumed_and_leaves_the_models_of_a_local_one(cluster, workspace, of_a_local_run):
    settings.write(workspace, launcher=ASKED)
    run_id = api.submit(workspace, small(*ON_A_CLUSTER))
    api.ensure_dispatcher(workspace)
    folder = workspace.run(run_id)
    until(lambda: len(epochs(workspace, run_id)) >= 2, sign=life(folder))
    job = read_json(folder / "status.json")["job"]
    assert synced(workspace).run(run_id).job == f"Slurm job {job} RUNNING"
    slurm_says("scancel", "--signal=USR2", job)  # as at its time limit
    until(lambda: "PENDING" in synced(workspace).run(run_id).job)
    assert synced(workspace).run(run_id).state == "queued"
    api.request(workspace, run_id, "cancel")
    until(lambda: not slurm_says("squeue", "--noheader"))
    assert synced(workspace).run(run_id).state == "cancelled"
    api.request(workspace, run_id, "run")
    api.ensure_dispatcher(workspace)
    until(lambda: held(folder / "lock"))
    api.request(workspace, run_id, "cancel")
    until(lambda: not slurm_says("squeue", "--noheader"))
    api.request(workspace, run_id, "run")
    row = settle(workspace, run_id)
    assert row.state == "done", row.error
    told = epochs(workspace, run_id)
    assert len(told) == len(set(told))
    assert digests(workspace) == of_a_local_run


@pytest.mark.slow
def test_a_run_goes_on_when_its_node_comes_back(cluster, workspace, of_a_local_run):
    found = lost_nodes.lose_slurm_node(workspace, of_a_local_run)
    assert (found.state, found.twice, found.differ) == ("done", 0, 0)
