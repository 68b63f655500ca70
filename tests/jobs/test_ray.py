"""A real Ray of one node: `pytest -m slow tests/jobs/test_ray.py`, where `ray[default]` is installed."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request

import psutil
import pytest

from kdcore.files import read_json
from kdcore.jobs import api, launcher, probe
from kdcore.workspace import settings
from kdcore.workspace.workspace import Workspace
from tests import patience
from tests.jobs.conftest import ON_A_CLUSTER, life, settle, until
from tests.jobs.test_runs import digests, epochs, synced
from tests.small import small

HEAD = (
    "-m", "ray.scripts.scripts", "start", "--head", "--block", "--disable-usage-stats", "--dashboard-host=127.0.0.1",
    "--num-cpus=2", "--object-store-memory=100000000", "--include-log-monitor=false",
)  # fmt: skip

pytestmark = pytest.mark.slow


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture(scope="module")
def address():
    pytest.importorskip("ray.job_submission", reason="ray is not installed (pip install 'kdcore[ray]')")
    address = f"http://127.0.0.1:{(port := free_port())}"
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as folder:  # the path of its sockets
        ports = f"--port={free_port()}", f"--dashboard-port={port}"
        command = [sys.executable, *HEAD, *ports, f"--temp-dir={folder}"]
        head = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            until(lambda: head.poll() is not None or answers(address))
            yield address
        finally:
            processes = psutil.Process(head.pid).children(recursive=True)
            head.terminate()
            head.wait(patience.SECONDS)
            for process in processes:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()


def answers(address):
    with contextlib.suppress(OSError):
        return urllib.request.urlopen(f"{address}/api/jobs/", timeout=patience.SECONDS).status == 200


def test_doctor_s_job_sees_the_workspace(address, workspace, monkeypatch):
    monkeypatch.setattr(probe, "WAIT_SECONDS", math.inf)
    settings.write(workspace, launcher={"launcher": "ray", "address": address})
    assert "sees the workspace and its locks" in launcher.chosen(workspace).check(workspace)
    nobody = launcher.in_words(["ray", f"address=http://127.0.0.1:{free_port()}"])
    with pytest.raises(launcher.Unreachable, match="does not answer"):
        launcher.of(nobody).check(workspace)


def test_a_run_is_cancelled_resumed_killed_and_leaves_the_models_of_a_local_one(address, workspace, tmp_path):
    settings.write(workspace, launcher={"launcher": "ray", "address": address})
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
    local = Workspace(tmp_path / "local").ensure()
    assert settle(local, api.submit(local, small(*ON_A_CLUSTER))).state == "done"
    api.stop_all(local)
    assert digests(workspace) == digests(local)
