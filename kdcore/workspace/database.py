"""The SQLite file of the index: disposable, so a damaged one is rebuilt, and that is reported once."""

from __future__ import annotations

import contextlib
import logging
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from kdcore.files import Damaged, lock
from kdcore.workspace.workspace import Workspace

log = logging.getLogger(__name__)

BUSY_SECONDS = 10.0
REBUILD_SECONDS = 60.0  # that another process may take to rebuild the index
PASSING = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_NOMEM,
}  # not the file's fault

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]


class Broken(ValueError):
    """The index contains what was never entered."""


class Outdated(Broken):
    """The index was made by another version."""


# What a statement raises, or a reader of its rows, where something else stands in the file than was entered.
BROKEN = (sqlite3.Error, ValueError, TypeError, LookupError, AttributeError)


class Database:
    """One file, opened for each call, so that any thread and process may call. `fill` enters all rows of a new one."""

    def __init__(self, workspace: Workspace, schema: str, version: int, fill: Work[None]):
        self.workspace, self.path = workspace, workspace.index
        self._schema, self._version, self._fill = schema, version, fill

    def ask(self, work: Work[T]) -> T:
        """What `work` finds. A file that turns out to be damaged is rebuilt first. Raises Damaged where it cannot be."""
        try:
            return self._once(work)
        except BROKEN as error:
            if _passing(error):
                raise
        with lock(self._lock, timeout=REBUILD_SECONDS):
            try:
                return self._once(work)  # another process may have rebuilt it meanwhile
            except BROKEN as error:
                if _passing(error):
                    raise
                self._tell(error)
            self._discard()
            return self._once(work)

    def update(self, work: Work[None]) -> None:
        """As `ask`; where another process has been writing for long, what the index has is left as it is."""
        try:
            self.ask(work)
        except sqlite3.OperationalError as error:
            if not _passing(error):
                raise
            log.warning("the index cannot be updated now: %s", error)

    def rebuild(self) -> None:
        """Throws the file away and fills a new one."""
        with lock(self._lock, timeout=REBUILD_SECONDS):
            self._discard()
            self._once(self._fill)

    @property
    def _lock(self) -> Path:
        return self.path.with_suffix(".lock")

    def _tell(self, error: Exception) -> None:
        if isinstance(error, Outdated):
            log.info("the index is rebuilt: %s", error)
        else:
            log.warning("The index was damaged (%s). It was rebuilt from the files of the runs.", error)

    def _once(self, work: Work[T]) -> T:
        with closing(self._connect()) as database, database:
            return work(database)

    def _connect(self) -> sqlite3.Connection:
        self.workspace.ensure()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(self.path, timeout=BUSY_SECONDS)
        try:
            return self._prepared(database)
        except BaseException:
            database.close()
            raise

    def _prepared(self, database: sqlite3.Connection) -> sqlite3.Connection:
        database.row_factory = sqlite3.Row
        database.execute("PRAGMA synchronous = NORMAL")
        found = database.execute("PRAGMA user_version").fetchone()[0]
        if found not in (0, self._version):
            raise Outdated("it was written by another version")
        if not found:
            self._make(database)
        return database

    def _make(self, database: sqlite3.Connection) -> None:
        """Tables and rows in one transaction, so that a new index is never read before it is filled."""
        with contextlib.suppress(sqlite3.OperationalError):  # another process is at it, and sets the mode too
            database.execute("PRAGMA journal_mode = WAL")
        try:
            database.executescript(f"BEGIN IMMEDIATE; {self._schema} PRAGMA user_version = {self._version};")
            self._fill(database)
            database.commit()
        except sqlite3.OperationalError as error:
            if "already exists" not in str(error):  # another process has just made it
                raise
            database.rollback()

    def _discard(self) -> None:
        """Its log goes first: SQLite would take it for the new file's. A folder in its place is kept in the trash."""
        try:
            for suffix in ("-wal", "-shm", ""):
                path = self.path.with_name(self.path.name + suffix)
                if path.is_dir() and not path.is_symlink():
                    shutil.move(path, self.workspace.trash / f"{path.name}-{time.time_ns()}")
                else:
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise Damaged(self.path, f"is damaged and cannot be removed: {error.strerror}") from None


def _passing(error: Exception) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in PASSING
