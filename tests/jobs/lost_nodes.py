"""A node of a cluster vanishes while its worker trains: what becomes of the run."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from kdcore.jobs import api
from kdcore.workspace import settings
from kdcore.workspace.workspace import Workspace
from tests import clusters
from tests.jobs.conftest import ON_A_CLUSTER, life, settle, until
from tests.jobs.test_runs import digests, epochs
from tests.small import small


class Recovered(NamedTuple):
    """`state` of the run in the end; epochs that were reported twice; models that differ from a local run's; seconds
    from the loss of the node, and from the moment at which there was one again, to the next epoch."""

    state: str
    twice: int
    differ: int
    seconds: float
    since_return: float


def local(folder: Path) -> dict[str, str]:
    """Digests of the models of a local run."""
    workspace = Workspace(folder).ensure()
    try:
        row = settle(workspace, api.submit(workspace, small(*ON_A_CLUSTER)))
    finally:
        api.stop_all(workspace)
    assert row.state == "done", row.error
    return digests(workspace)


def lose(
    workspace: Workspace,
    asked: dict[str, Any],
    vanish: Callable[[], object],
    come_back: Callable[[], object],
    expected: dict[str, str],
) -> Recovered:
    """Runs by this launcher; once it trains, the node vanishes and another one comes."""
    settings.write(workspace, launcher=asked)
    run_id = api.submit(workspace, small(*ON_A_CLUSTER))
    api.ensure_dispatcher(workspace)
    folder = workspace.run(run_id)
    until(lambda: len(epochs(workspace, run_id)) >= 2, sign=life(folder))
    vanish()
    lost = time.monotonic()
    come_back()
    returned, before = time.monotonic(), len(epochs(workspace, run_id))
    until(lambda: len(epochs(workspace, run_id)) > before, sign=life(folder))
    now = time.monotonic()
    row = settle(workspace, run_id)
    told, made = epochs(workspace, run_id), digests(workspace)
    differ = sum(made.get(name) != digest for name, digest in expected.items())
    return Recovered(row.state, len(told) - len(set(told)), differ, now - lost, now - returned)


def lose_slurm_node(workspace: Workspace, expected: dict[str, str]) -> Recovered:
    """The only node of `clusters.slurm` is down, until its job has left it."""
    node = f"NodeName={socket.gethostname()}"

    def vanish() -> None:
        subprocess.run(["scontrol", "update", node, "State=DOWN", "Reason=test"], check=True)

    def come_back() -> None:
        until(lambda: b"RUNNING" not in says("squeue", "--format=%T"))
        until(lambda: b"down" not in says("sinfo", "--noheader", "--format=%T") or resumed())

    def resumed() -> bool:
        """False where its daemon has just reported it back."""
        return not subprocess.run(["scontrol", "update", node, "State=RESUME"], check=False).returncode

    def says(*command: str) -> bytes:
        return subprocess.run(command, capture_output=True, check=True).stdout

    return lose(workspace, {"launcher": "slurm", "memory_gb": 2, "minutes": 30}, vanish, come_back, expected)


def lose_ray_node(workspace: Workspace, cluster: clusters.Ray, expected: dict[str, str]) -> Recovered:
    """The raylet of the only node is killed, and another node comes."""
    asked = {"launcher": "ray", "address": cluster.address}
    return lose(workspace, asked, cluster.kill_node, cluster.add_node, expected)
