"""Freeing disk: what models, sessions and trash take, and the removal of what no run names."""

from __future__ import annotations

import contextlib
import time
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from kdcore.files import Damaged, abandoned, held, read_json, remove
from kdcore.workspace.integrity import ASIDE, DONE, LEFTOVERS
from kdcore.workspace.workspace import Workspace


class Usage(NamedTuple):
    """Bytes on disk, and how many models no plan names."""

    models: int
    unused_models: int
    model_count: int
    unused_count: int
    trash: int
    datasets: int


class Freed(NamedTuple):
    """What a clean-up removed."""

    models: int
    trashed_runs: int
    bytes: int


def usage(workspace: Workspace) -> Usage:
    """What the workspace holds."""
    unused = _unused(workspace)
    folders = _folders(workspace.models)
    sizes = {folder: _bytes(folder) for folder in folders}
    return Usage(
        models=sum(sizes.values()),
        unused_models=sum(sizes[folder] for folder in unused),
        model_count=len(folders),
        unused_count=len(unused),
        trash=_bytes(workspace.trash),
        datasets=_bytes(workspace.datasets),
    )


def collect(workspace: Workspace) -> Freed:
    """Removes models that no run's plan names and that nobody is training, and what killed writers left behind; empties
    the trash.

    Raises Damaged when a plan cannot be read: what it names is then unknown, and nothing is removed.
    """
    models, trash, left = _unused(workspace), _folders(workspace.trash), _left_behind(workspace)
    freed = sum(_bytes(folder) for folder in [*models, *trash]) + sum(_bytes(path) for path in left)
    for path in [*models, *trash, *left]:
        with contextlib.suppress(OSError):
            remove(path)
    runs = [folder for folder in trash if not folder.name.startswith(ASIDE)]
    return Freed(len(models), len(runs), freed)


def _left_behind(workspace: Workspace) -> list[Path]:
    """What killed writers left: their temporary files and folders, and checkpoints of models that are finished."""
    now = time.time()
    parts = (workspace.runs, workspace.models, workspace.sessions, workspace.datasets, workspace.cache)
    files = [*workspace.root.glob(".*"), *(path for part in parts for path in part.rglob(".*"))]
    found = []
    for path in files:
        with contextlib.suppress(FileNotFoundError):  # just renamed by a writer that lives
            half_a_run = path.parent == workspace.runs and now - path.lstat().st_mtime > 3600
            if half_a_run or abandoned(path, now):
                found.append(path)
    for folder in _folders(workspace.models):
        if (folder / DONE).exists() and not held(folder / "lock"):
            found += [folder / name for name in LEFTOVERS if (folder / name).exists()]
    return found


def _unused(workspace: Workspace) -> list[Path]:
    named: set[str] = set()
    for run_id in workspace.run_ids():
        path = workspace.runs / run_id / "plan.json"
        try:
            named |= _named(path, path.stat().st_mtime_ns)
        except FileNotFoundError as error:
            raise Damaged(f"run {run_id} has no plan: {error}") from None
    return [folder for folder in _folders(workspace.models) if folder.name not in named and not held(folder / "lock")]


@lru_cache(maxsize=4096)
def _named(path: Path, _written: int) -> frozenset[str]:
    plan = read_json(path)
    keys = (stage["key"] for stage in plan["stages"])
    return frozenset((*keys, *plan.get("files", ())))  # what a teacher is made of may be a model of another data set


def _folders(parent: Path) -> list[Path]:
    return sorted(path for path in parent.iterdir() if path.is_dir()) if parent.is_dir() else []


def _bytes(folder: Path) -> int:
    if folder.is_file():
        return folder.stat().st_size
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
