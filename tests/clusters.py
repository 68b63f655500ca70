"""A real Slurm and a real Ray of this machine, started and ended by their process ids."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil

from tests import patience
from tests.jobs.conftest import until

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel")
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
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory={memory}
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""
UP_SECONDS = 60
ATTEMPTS = 5
START = ("-m", "ray.scripts.scripts", "start", "--disable-usage-stats", "--include-log-monitor=false",
         "--object-store-memory=100000000")  # fmt: skip


class Missing(RuntimeError):
    """The engine is not installed or does not start here; the message says what would be needed."""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@contextlib.contextmanager
def slurm(folder: Path) -> Iterator[None]:
    """A Slurm of one node, whose files are in the folder; its commands find it by the environment. Raises Missing."""
    if not importlib.util.find_spec("submitit"):
        raise Missing("submitit is not installed (pip install 'kdcore[slurm]')")
    missing = [name for name in PROGRAMS if not shutil.which(name)]
    if missing or os.geteuid():
        named = ", ".join(missing or PROGRAMS)
        raise Missing(f"needs root and {named} (Debian: slurmctld slurmd slurm-client munge)")
    _configure(folder)
    names = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
    munged = ["munged", "--force", *(f"--{option}={folder}/munge.{name}" for option, name in names.items())]
    before = dict(os.environ)
    os.environ |= {"SLURM_CONF": str(folder / "slurm.conf"), "MUNGE_SOCKET": f"{folder}/munge.socket"}
    try:
        for command in (munged, ["slurmctld"], ["slurmd"]):
            _begin(command)
        try:
            until(lambda: b"idle" in subprocess.run(["sinfo"], capture_output=True, check=False).stdout, UP_SECONDS)
        except AssertionError:
            raise Missing("Slurm's node does not come up here") from None
        yield
    finally:
        subprocess.run(["scancel", "--me"], capture_output=True, check=False)
        until(lambda: not subprocess.run(["squeue", "--noheader"], capture_output=True, check=False).stdout)
        for name in ("slurmd", "slurmctld", "munge"):
            _end(folder / f"{name}.pid")
        os.environ.clear()
        os.environ |= before


def _begin(daemon: list[str]) -> None:
    """A container may forbid what it needs. Raises Missing."""
    said = subprocess.run(daemon, check=False, capture_output=True, text=True, timeout=patience.SECONDS)
    if said.returncode:
        raise Missing(f"{daemon[0]} does not start here: {said.stderr.strip()[-300:]}")


def _configure(folder: Path) -> None:
    for above in (folder, *folder.parents[:2]):
        above.chmod(above.stat().st_mode | 0o755)  # munged looks at the folders of its socket
    for name in ("state", "spool"):
        (folder / name).mkdir()
    ports = free_port(), free_port()
    memory = min(8000, psutil.virtual_memory().total // 2**21)  # MB, half of what there is
    text = CONFIGURATION.format(
        folder=folder, host=socket.gethostname(), ports=ports, cores=os.cpu_count(), memory=memory
    )
    (folder / "slurm.conf").write_text(text)
    (folder / "munge.key").write_bytes(os.urandom(128))
    (folder / "munge.key").chmod(0o600)


def _end(pid_file: Path) -> None:
    with contextlib.suppress(OSError, ValueError, psutil.NoSuchProcess):
        daemon = psutil.Process(int(pid_file.read_text()))
        daemon.terminate()
        daemon.wait(patience.SECONDS)


class Ray:
    """A head without cores, whose API is at `address`, and nodes of two cores beside it."""

    def __init__(self, folder: str):
        self._folder, self._port, dashboard = folder, free_port(), free_port()
        self.address = f"http://127.0.0.1:{dashboard}"
        ports = f"--port={self._port}", f"--dashboard-port={dashboard}", "--dashboard-host=127.0.0.1"
        try:
            self._start("--head", "--num-cpus=0", *ports, f"--temp-dir={folder}")
            until(self._answers)
        except BaseException:
            self.end()
            raise

    def add_node(self) -> None:
        agent = f"--dashboard-agent-listen-port={free_port()}"
        self._start(f"--address=127.0.0.1:{self._port}", "--num-cpus=2", agent)

    def kill_node(self) -> None:
        """Kills the raylet of the node that was added last, and leaves the rest to Ray."""
        raylets = [process for process in self._processes() if process.name() == "raylet"]
        max(raylets, key=psutil.Process.create_time).kill()

    def end(self) -> None:
        _kill(self._processes())

    def _start(self, *options: str) -> None:
        """Ray gives a node 30 s to come up, which are too few on a busy machine."""
        there = self._processes()
        for _ in range(ATTEMPTS):
            command = [sys.executable, *START, *options]
            if not subprocess.run(
                command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
            ).returncode:
                return
            _kill(self._processes() - there)
        raise RuntimeError("Ray does not start")

    def _processes(self) -> set[psutil.Process]:
        """Those of this cluster: its folder is among their arguments."""
        found = psutil.process_iter(["cmdline"])
        return {process for process in found if any(self._folder in part for part in process.info["cmdline"] or ())}

    def _answers(self) -> bool:
        with contextlib.suppress(OSError):
            return bool(urllib.request.urlopen(f"{self.address}/api/jobs/", timeout=patience.SECONDS).status == 200)
        return False


def _kill(processes: set[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


@contextlib.contextmanager
def ray(folder: str) -> Iterator[Ray]:
    """A Ray with one node, whose sockets are in the folder: its path must be short. Raises Missing."""
    if not importlib.util.find_spec("ray"):
        raise Missing("ray is not installed (pip install 'kdcore[ray]')")
    cluster = Ray(folder)
    try:
        cluster.add_node()
        yield cluster
    finally:
        cluster.end()
