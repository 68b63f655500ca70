"""Taking in a run that another installation has written (`kdcore.takeaway.run`). The file is judged as hostile input.

It is unpacked beside the workspace's own folders and looked at as a workspace of its own; what passes is moved to its
place, the run last. What is here already is never overwritten.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import zipfile
import zlib
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from filelock import Timeout

from kdcore import inputs
from kdcore.data.pictures.members import Member, members
from kdcore.data.pictures.names import Refused
from kdcore.files import Damaged, lock, read_json, remove
from kdcore.report.format import plural
from kdcore.report.names import printable
from kdcore.takeaway import imported
from kdcore.takeaway.run import DOCUMENTS, LABELS, MANIFEST
from kdcore.workspace import access, shapes
from kdcore.workspace.integrity import DONE
from kdcore.workspace.workspace import Workspace

BLOCK = 2**20
MOST_JSON, MOST_OTHER = 2**26, 2**32  # bytes of one file
UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError)
_IMAGES = [*(file for kind in inputs.KINDS for file in inputs.named(kind).files("test_images")), *LABELS]
_PLACES = re.compile(
    rf"{re.escape(MANIFEST)}"
    rf"|runs/[a-z0-9][a-z0-9-]{{3,63}}/({'|'.join(map(re.escape, DOCUMENTS))})"
    rf"|datasets/[0-9a-f]{{1,64}}/({'|'.join(map(re.escape, _IMAGES))})"
    rf"|models/[0-9a-f]{{64}}/({'|'.join(map(re.escape, imported.MODEL_FILES))})"
    r"|sessions/\d{6}-\d{6}-[0-9a-f]{6}\.json"
)


class NotImported(ValueError):
    """The file is not taken; the message says why, in one line."""


class Imported(NamedTuple):
    """The run that came, how many models came with it, and how many of its models were here already."""

    run: str
    name: str
    models: int
    known: int

    @property
    def words(self) -> str:
        """Quickstart with 12 models, of which 3 were here already."""
        here = f", of which {self.known} were here already" if self.known else ""
        return f"{printable(self.name)} with {plural(self.models + self.known, 'model')}{here}"


def import_run(workspace: Workspace, file: Path) -> Imported:
    """Takes in the run. Raises NotImported, and leaves nothing then."""
    if refusal := access.to_manage():
        raise NotImported(refusal)
    workspace.ensure()
    beside = workspace.cache / f".import.{os.getpid()}-{secrets.token_hex(4)}"  # so that `gc` knows a killed writer's
    try:
        came = Workspace(beside).ensure()
        _unpack(file, came.root)
        run_id = _run(came)
        if os.path.lexists(workspace.runs / run_id):
            _refuse(f"run {run_id} is in this workspace already")
        imported.check(came, run_id)
        return _take_in(came, workspace, run_id)
    except (Refused, imported.Unfit) as error:
        raise NotImported(str(error)) from None
    except Damaged as error:
        raise NotImported(f"{error.file.name} {error.reason}") from None
    except OSError as error:
        raise NotImported(f"it cannot be stored: {error.strerror}") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _refuse(message: str) -> NoReturn:
    raise NotImported(message)


def _unpack(file: Path, root: Path) -> None:
    with members(file) as found:
        listed = [*found.pictures, *found.others]
        for member in listed:
            if not _PLACES.fullmatch(member.shown):
                _refuse(f"{member.shown[:80]!r} is no file of a run: export the run again")
        for member in listed:
            _copy(member, root / member.shown)


def _copy(member: Member, path: Path) -> None:
    most = MOST_JSON if path.suffix in (".json", ".jsonl") else MOST_OTHER
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with member.open() as source, path.open("xb") as target:
            while block := source.read(BLOCK):
                most -= len(block)
                if most < 0:
                    _refuse(f"{member.shown} is larger than any such file")
                target.write(block)
    except NotImported:
        raise
    except UNREADABLE as error:
        _refuse(f"{member.shown} cannot be unpacked ({error}): copy or export the file again")


def _run(came: Workspace) -> str:
    """The id of the one run in the archive."""
    about: Any = read_json(came.root / MANIFEST, None)
    runs = came.run_ids()
    if not isinstance(about, dict) or runs != [about.get("run")]:
        _refuse(f"it is not an exported run: `kdcore export RUN_ID -o FILE.zip` writes one, with {MANIFEST}")
    return runs[0]


def _take_in(came: Workspace, workspace: Workspace, run_id: str) -> Imported:
    """Moves everything to its place. Models stay locked until the run names them: a clean-up leaves them then."""
    name, moved, known = shapes.meta(came.run(run_id))["name"], 0, 0
    with ExitStack() as locks, ExitStack() as undo:
        for folder in came.datasets.iterdir():
            if not (workspace.dataset(folder.name) / "info.json").exists():
                _move(folder, workspace.dataset(folder.name), "info.json", undo)
        for folder in came.models.iterdir():
            target = workspace.model(folder.name)
            target.mkdir(exist_ok=True)
            try:
                locks.enter_context(lock(target / "lock", timeout=0))
            except Timeout:
                _refuse(f"a run is making the model {folder.name[:12]} just now: import the file when it has ended")
            if workspace.complete(folder.name):
                known += 1
                continue
            if any(path.name != "lock" for path in target.iterdir()):
                workspace.set_aside(folder.name)
            _move(folder, target, DONE, undo)
            moved += 1
        for session in came.sessions.iterdir():
            if not (workspace.sessions / session.name).exists():
                undo.callback(remove, workspace.sessions / session.name)
                session.rename(workspace.sessions / session.name)
        came.run(run_id).rename(workspace.runs / run_id)
        undo.pop_all()
    return Imported(run_id, name, moved, known)


def _move(folder: Path, target: Path, last: str, undo: ExitStack) -> None:
    """Moves the files of a folder; the one that says that all are there comes last."""
    undo.callback(remove, target)
    target.mkdir(exist_ok=True)
    for path in sorted(folder.iterdir(), key=lambda path: path.name == last):
        path.replace(target / path.name)
