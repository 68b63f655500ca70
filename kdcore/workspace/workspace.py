"""The workspace on disk: where each file is."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from pathlib import Path
from typing import Any

from kdcore.files import write_json
from kdcore.paths import home
from kdcore.workspace import plans
from kdcore.workspace.plans import Plan

_RUN_ID = re.compile(r"[a-z0-9][a-z0-9-]{3,63}")
_KEY = re.compile(r"[0-9a-f]{64}")


def _is_run(item: os.DirEntry[str]) -> bool:
    return bool(_RUN_ID.fullmatch(item.name)) and item.is_dir(follow_symlinks=False)


class UnknownRun(LookupError):
    """There is no run of this id."""


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
        self.trash = self.root / "trash"
        self.index = self.root / "index.sqlite"

    def ensure(self) -> Workspace:
        for folder in (self.runs, self.models, self.sessions, self.datasets, self.cache, self.trash):
            folder.mkdir(parents=True, exist_ok=True)
        return self

    def run(self, run_id: str) -> Path:
        """The folder of an existing run; a link to a folder is none. Raises UnknownRun."""
        folder = self.runs / run_id
        if not _RUN_ID.fullmatch(run_id) or folder.is_symlink() or not folder.is_dir():
            raise UnknownRun(f"there is no run {run_id!r} in {self.root}")
        return folder

    def run_ids(self) -> list[str]:
        """All runs, oldest first (ids begin with their time)."""
        if not self.runs.is_dir():
            return []
        with os.scandir(self.runs) as found:
            return sorted(item.name for item in found if _is_run(item))

    def strangers(self) -> list[str]:
        """What lies among the runs and is none: links, files, folders whose names are no ids. Nobody touches them."""
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
            raise ValueError(f"{key!r} is no model key")
        return self.models / key

    def complete(self, key: str) -> bool:
        """Whether the stage of this key has left a whole model."""
        return (self.model(key) / "done.json").is_file()

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

    def discard(self, run_id: str) -> Path:
        """Moves a run, and the run alone, to the trash."""
        destination = self.trash / f"{run_id}-{int(time.time())}"
        self.trash.mkdir(parents=True, exist_ok=True)
        shutil.move(self.run(run_id), destination)
        return destination
