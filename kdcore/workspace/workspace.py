"""The workspace on disk: where each file is."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kdcore.files import write_json
from kdcore.paths import home, index_of
from kdcore.workspace import integrity, plans
from kdcore.workspace.integrity import ASIDE
from kdcore.workspace.plans import Plan

_RUN_ID = re.compile(r"[a-z0-9][a-z0-9-]{3,63}")
_KEY = re.compile(r"[0-9a-f]{64}")


def _is_run(item: os.DirEntry[str]) -> bool:
    return bool(_RUN_ID.fullmatch(item.name)) and item.is_dir(follow_symlinks=False)


class UnknownRun(LookupError):
    """There is no run of this id."""


class StillRunning(RuntimeError):
    """The run's worker lives, and cannot be ended from here."""


class Workspace:
    """One workspace folder. Making the object touches nothing; `ensure()` makes the folders.

    >>> Workspace("/tmp/w").model("ab" * 32).name[:4]
    'abab'
    """

    def __init__(self, root: str | Path | None = None):
        self.root = Path(root).resolve() if root else home()
        self.runs = self.root / "runs"
        self.models = self.root / "models"
        self.sessions = self.root / "sessions"
        self.datasets = self.root / "datasets"
        self.cache = self.root / "cache"
        self.drafts = self.cache / "drafts"
        self.trash = self.root / "trash"
        self.index = index_of(self.root)

    def ensure(self) -> Workspace:
        for folder in (self.runs, self.models, self.sessions, self.datasets, self.cache, self.trash):
            folder.mkdir(parents=True, exist_ok=True)
        return self

    def run(self, run_id: str) -> Path:
        """The folder of an existing run; a link to a folder is none. Raises UnknownRun."""
        if not self.has(run_id):
            raise UnknownRun(f"there is no run {run_id!r} in {self.root}")
        return self.runs / run_id

    def has(self, run_id: str) -> bool:
        """Whether there is a run of this id."""
        folder = self.runs / run_id
        return bool(_RUN_ID.fullmatch(run_id)) and not folder.is_symlink() and folder.is_dir()

    def run_ids(self) -> list[str]:
        """All runs, oldest first (ids begin with their time)."""
        if not self.runs.is_dir():
            return []
        with os.scandir(self.runs) as found:
            return sorted(item.name for item in found if _is_run(item))

    def unknown_entries(self) -> list[str]:
        """What lies among the runs and is none: links, files, folders whose names are no ids. They are left alone."""
        if not self.runs.is_dir():
            return []
        with os.scandir(self.runs) as found:
            return sorted(item.name for item in found if not item.name.startswith(".") and not _is_run(item))

    def plan(self, run_id: str) -> Plan:
        """What a run will do, or has done. Raises UnknownRun, Damaged."""
        return plans.read(self.run(run_id) / "plan.json")

    def model(self, key: str) -> Path:
        """The folder of a model; it need not exist. Raises ValueError for what is no key."""
        if not _KEY.fullmatch(key):
            raise ValueError(f"{key!r} is not a model key")
        return self.models / key

    def complete(self, key: str) -> bool:
        """Whether the stage of this key has left a whole model, as far as sizes and small files tell."""
        folder = self.model(key)
        return os.path.lexists(folder / integrity.DONE) and integrity.damage(folder) is None

    def damage(self, key: str, read: Iterable[str] | None = ()) -> str | None:
        """What is wrong with a model that was finished, see `integrity.damage`; None for one that is not there."""
        folder = self.model(key)
        return integrity.damage(folder, read) if os.path.lexists(folder / integrity.DONE) else None

    def dataset(self, fingerprint: str) -> Path:
        return self.datasets / fingerprint

    def new_run(self, files: dict[str, Any]) -> str:
        """Makes a run's folder with these JSON files, all at once, and returns its id."""
        self.ensure()
        run_id = f"{time.strftime('%y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
        temporary = self.runs / f".{run_id}"
        temporary.mkdir()
        for name, document in files.items():
            write_json(temporary / name, document)
        temporary.rename(self.runs / run_id)
        return run_id

    def set_aside(self, key: str) -> None:
        """Moves what a model's folder holds to the trash; its lock stays with its holder."""
        folder, destination = self.model(key), self.trash / f"{ASIDE}{key[:12]}-{time.time_ns()}"
        destination.mkdir(parents=True)
        # without done.json it is no model any more, however far this comes
        for path in sorted(folder.iterdir(), key=lambda path: path.name != integrity.DONE):
            if path.name != "lock":
                shutil.move(path, destination / path.name)

    def discard(self, run_id: str) -> Path:
        """Moves a run, and the run alone, to the trash."""
        destination = self.trash / f"{run_id}-{int(time.time())}"
        self.trash.mkdir(parents=True, exist_ok=True)
        shutil.move(self.run(run_id), destination)
        return destination

    def trashed(self) -> list[str]:
        """The runs in the trash, the one deleted last first."""
        return list(dict.fromkeys(run_id for run_id, _ in self._discarded()))

    def restore(self, run_id: str) -> None:
        """Moves a run back from the trash, as it was when it was deleted last. Raises UnknownRun."""
        folder = self.discarded(run_id)
        if folder is None or os.path.lexists(self.runs / run_id):
            raise UnknownRun(f"run {run_id!r} is not in the trash of {self.root}")
        shutil.move(folder, self.runs / run_id)

    def discarded(self, run_id: str) -> Path | None:
        """Where a run lies in the trash since it was deleted last."""
        return dict(reversed(self._discarded())).get(run_id)

    def _discarded(self) -> list[tuple[str, Path]]:
        """Runs in the trash and their folders there, the one deleted last first."""
        if not self.trash.is_dir():
            return []
        runs = []
        with os.scandir(self.trash) as found:
            for item in found:
                run_id, _, when = item.name.rpartition("-")
                known = _RUN_ID.fullmatch(run_id) and not run_id.startswith(ASIDE)
                if known and when.isdecimal() and item.is_dir(follow_symlinks=False):
                    runs.append((int(when), run_id, Path(item.path)))
        return [(run_id, path) for _, run_id, path in sorted(runs, reverse=True)]
