"""A node of a real Slurm and of a real Ray that vanishes while its worker trains; part of `benchmarks.gauntlet`.

Slurm: `scontrol update State=DOWN`, then RESUME. Ray: SIGKILL of the raylet, then another node. What is not installed
is left out, with the reason.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.results import table
from kdcore.jobs import api
from kdcore.workspace.workspace import Workspace
from tests import clusters
from tests.jobs import lost_nodes
from tests.jobs.lost_nodes import Recovered

KIND = "a node that vanishes"
COLUMNS = ("runs lost", "epochs run twice", "results that differ", "s to go on", "s of them with a node")


def _slurm(folder: Path, workspace: Workspace, expected: dict[str, str]) -> Recovered:
    with clusters.slurm(folder):
        return lost_nodes.lose_slurm_node(workspace, expected)


def _ray(folder: Path, workspace: Workspace, expected: dict[str, str]) -> Recovered:
    with clusters.ray(str(folder)) as cluster:
        return lost_nodes.lose_ray_node(workspace, cluster, expected)


FAULTS: dict[str, Callable[[Path, Workspace, dict[str, str]], Recovered]] = {
    "Slurm: the node is down": _slurm,
    "Ray: the raylet is killed": _ray,
}


def report() -> str:
    """The table, and why an engine was left out."""
    with tempfile.TemporaryDirectory() as local:
        expected = lost_nodes.local(Path(local) / "workspace")
    rows, missing = [], []
    for name, fault in FAULTS.items():
        with tempfile.TemporaryDirectory(prefix="kd", ignore_cleanup_errors=True) as folder:
            workspace = Workspace(Path(folder) / "workspace").ensure()
            try:
                found = fault(_made(Path(folder) / "engine"), workspace, expected)
            except clusters.Missing as reason:
                missing.append(f"- {name}: left out, {reason}")
                continue
            finally:
                api.stop_all(workspace)
        lost = str(int(found.state != "done"))
        seconds = (f"{found.seconds:.0f}", f"{found.since_return:.0f}")
        rows.append([name, lost, str(found.twice), str(found.differ), *seconds])
    return "\n\n".join(filter(None, [table([KIND, *COLUMNS], rows) if rows else "", "\n".join(missing)]))


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
