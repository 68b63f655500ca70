"""A real Slurm of one node: `pytest -m slow tests/jobs/test_slurm.py`, as root.

Debian: apt install slurmctld slurmd slurm-client munge.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import socket
import subprocess

import psutil
import pytest

from kdcore.files import held, read_json
from kdcore.jobs import api, launcher, probe
from kdcore.workspace import settings
from kdcore.workspace.workspace import Workspace
from tests import patience
from tests.jobs.conftest import ON_A_CLUSTER, life, settle, until
from tests.jobs.test_runs import digests, epochs, synced
from tests.small import small

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel")
ASKED = {"launcher": "slurm", "memory_gb": 2, "minutes": 30}
CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
MpiDefault=none
ProctrackType=proctrack/pgid
TaskPlugin=task/none
ReturnToService=2
MinJobAge=300
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmdSpoolDir={folder}/spool
StateSaveLocation={folder}/state
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory=8000
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""

pytestmark = pytest.mark.slow


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    pytest.importorskip("submitit", reason="submitit is not installed (pip install 'kdcore[slurm]')")
    missing = [name for name in PROGRAMS if not shutil.which(name)]
    if missing or os.geteuid():
        pytest.skip(f"needs root and {', '.join(missing or PROGRAMS)} (Debian: slurmctld slurmd slurm-client munge)")
    folder = tmp_path_factory.mktemp("slurm")
    for above in (folder, *folder.parents[:2]):
        above.chmod(0o755)  # munged looks at the folders of its socket
    for name in ("state", "spool"):
        (folder / name).mkdir()
    host = socket.gethostname()
    ports = free_port(), free_port()
    text = CONFIGURATION.format(folder=folder, host=host, ports=ports, cores=os.cpu_count())
    (folder / "slurm.conf").write_text(text)
    (folder / "munge.key").write_bytes(os.urandom(128))
    (folder / "munge.key").chmod(0o600)
    names = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
    munged = ["munged", "--force", *(f"--{option}={folder}/munge.{name}" for option, name in names.items())]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
        patch.setenv("MUNGE_SOCKET", f"{folder}/munge.socket")
        try:
            for command in (munged, ["slurmctld"], ["slurmd"]):
                subprocess.run(command, check=True, capture_output=True, timeout=patience.SECONDS)
            until(lambda: b"idle" in subprocess.run(["sinfo"], capture_output=True, check=False).stdout)
            yield folder
        finally:
            subprocess.run(["scancel", "--me"], capture_output=True, check=False)
            until(lambda: not subprocess.run(["squeue", "--noheader"], capture_output=True, check=False).stdout)
            for name in ("slurmd", "slurmctld", "munge"):
                end(folder / f"{name}.pid")


def end(pid_file):
    with contextlib.suppress(OSError, ValueError, psutil.NoSuchProcess):
        daemon = psutil.Process(int(pid_file.read_text()))
        daemon.terminate()
        daemon.wait(patience.SECONDS)


def slurm_says(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=patience.SECONDS).stdout


def test_doctor_s_job_sees_the_workspace(cluster, workspace, monkeypatch):
    monkeypatch.setattr(probe, "WAIT_SECONDS", math.inf)
    settings.write(workspace, launcher=ASKED)
    assert "sees the workspace and its locks" in launcher.chosen(workspace).check(workspace)
    settings.write(workspace, launcher=ASKED | {"partition": "nowhere"})
    with pytest.raises(launcher.Refused, match="partition"):
        launcher.chosen(workspace).check(workspace)


def test_a_run_is_requeued_cancelled_resumed_and_leaves_the_models_of_a_local_one(cluster, workspace, tmp_path):
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
    local = Workspace(tmp_path / "local").ensure()
    assert settle(local, api.submit(local, small(*ON_A_CLUSTER))).state == "done"
    api.stop_all(local)
    assert digests(workspace) == digests(local)
