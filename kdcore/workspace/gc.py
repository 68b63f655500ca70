"""Freeing disk: what models, sessions and trash take, and the removal of unreferenced files."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from kdcore.files import Damaged, abandoned, held, read_json, remove
from kdcore.workspace import access, plans, shapes
from kdcore.workspace.integrity import ASIDE, DONE, LEFTOVERS
from kdcore.workspace.workspace import UnknownRun, Workspace

DRAFT_SECONDS = 30 * 86400  # a draft of the form that nobody has changed for so long is given up


class Usage(NamedTuple):
    """Bytes on disk, and how many models no plan names: none are known where `unknown` runs have no plan.

    `left`: what killed writers left behind, and old drafts.
    """

    models: int
    unused_models: int
    model_count: int
    unused_count: int
    trash: int
    datasets: int
    left: int
    unknown: tuple[str, ...]


class Freed(NamedTuple):
    """What a clean-up removed. `unknown`: runs whose plan cannot be read, for whose sake it kept all models."""

    models: int
    trashed_runs: int
    bytes: int
    unknown: tuple[str, ...]


class _Unused(NamedTuple):
    folders: list[Path]
    unknown: tuple[str, ...]


def usage(workspace: Workspace) -> Usage:
    """What the workspace holds. Files may come and go meanwhile."""
    unused, unknown = _unused(workspace)
    folders = _folders(workspace.models)
    sizes = {folder: bytes_of(folder) for folder in folders}
    return Usage(
        models=sum(sizes.values()),
        unused_models=sum(sizes.get(folder, 0) for folder in unused),
        model_count=len(folders),
        unused_count=len(unused),
        trash=bytes_of(workspace.trash),
        datasets=bytes_of(workspace.datasets),
        left=sum(bytes_of(path) for path in _left_behind(workspace)),
        unknown=unknown,
    )


def collect(workspace: Workspace) -> Freed:
    """Removes models that no run's plan names and no worker is training, and what killed writers left behind; empties
    the trash.

    What a plan that cannot be read names is not known: no model is removed while there is one. Raises Refused.
    """
    access.require(access.to_manage())
    (models, unknown), trash, left = _unused(workspace), _folders(workspace.trash), _left_behind(workspace)
    freed = sum(bytes_of(folder) for folder in [*models, *trash]) + sum(bytes_of(path) for path in left)
    for path in [*models, *trash, *left]:
        with contextlib.suppress(OSError):
            remove(path)
    runs = [folder for folder in trash if not folder.name.startswith(ASIDE)]
    return Freed(len(models), len(runs), freed, unknown)


def _left_behind(workspace: Workspace) -> list[Path]:
    """What killed writers left: their temporary files and folders, and checkpoints of models that are finished. And
    drafts of the form that were given up long ago."""
    now = time.time()
    parts = (workspace.runs, workspace.models, workspace.sessions, workspace.datasets, workspace.cache)
    files = [*workspace.root.glob(".*"), *(path for part in parts for path in _hidden(part))]
    found = [path for path in workspace.drafts.glob("*.json") if now - _changed(path, now) > DRAFT_SECONDS]
    for path in files:
        with contextlib.suppress(FileNotFoundError):  # just renamed by a writer that lives
            half_a_run = path.parent == workspace.runs and now - path.lstat().st_mtime > 3600
            if half_a_run or abandoned(path, now):
                found.append(path)
    for folder in _folders(workspace.models):
        if (folder / DONE).exists() and not held(folder / "lock"):
            found += [folder / name for name in LEFTOVERS if (folder / name).exists()]
    return found


def _hidden(folder: Path) -> Iterator[Path]:
    """What below it has a name that begins with a dot."""
    for root, folders, names in os.walk(folder):
        yield from (Path(root, name) for name in (*folders, *names) if name.startswith("."))


def _unused(workspace: Workspace) -> _Unused:
    folders = _folders(workspace.models)  # before the plans: a model that is begun meanwhile is not looked at
    named: set[str] = set()
    unknown = []
    for run_id in workspace.run_ids():
        try:
            named |= named_by(workspace, run_id)
        except UnknownRun:
            continue  # deleted meanwhile
        except Damaged:
            unknown.append(run_id)
    for name in workspace.unknown_entries():  # they stay, and so do the models that one of them may need
        with contextlib.suppress(Damaged):
            named |= plans.models_of(workspace.runs / name / "plan.json")
    if unknown:
        return _Unused([], tuple(unknown))
    return _Unused([one for one in folders if one.name not in named and not held(one / "lock")], ())


def named_by(workspace: Workspace, run_id: str) -> frozenset[str]:
    """The models that a run needs. Raises UnknownRun, Damaged."""
    path = workspace.run(run_id) / "plan.json"
    try:
        info = path.stat()
    except OSError:
        return plans.models_of(path)  # says what is wrong
    return _models(path, (info.st_mtime_ns, info.st_size)) | _searched(path.parent)


def _searched(folder: Path) -> frozenset[str]:
    """The models of a search, which its plan does not know: more trials later begin from them."""
    found = shapes.search(folder)
    if found is None:
        return frozenset()
    final = found.get("final")
    ended = [final["winner"], final["nearest"], final["control"]] if final else []
    models = [*found["trials"], *(one for one in ended if one)]
    kept = [found["reference"].get("key", ""), *found.get("building", ()), *found.get("measured", ())]
    for path in (folder / shapes.BUILDING).glob("*.json"):
        kept += read_json(path).get("keys", ())
    return frozenset([*kept, *(key for one in models for key in one.get("keys", ()))])


@lru_cache(maxsize=2**17)  # with fewer places than runs, going through all of them would find none
def _models(path: Path, _identity: tuple[int, int]) -> frozenset[str]:
    return plans.models_of(path)


def _folders(parent: Path) -> list[Path]:
    try:
        return sorted(path for path in parent.iterdir() if path.is_dir() and not path.is_symlink())
    except OSError:
        return []


def bytes_of(folder: Path) -> int:
    """What a file, or a folder with all that it holds, takes."""
    if folder.is_file():
        return _size(str(folder))
    return sum(_size(os.path.join(root, name)) for root, _, names in os.walk(folder) for name in names)


def _changed(path: Path, otherwise: float) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return otherwise  # gone since its name was read


def _size(path: str) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0  # gone since its name was read
