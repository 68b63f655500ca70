"""How files are written and locked, so that a kill loses nothing and a reader sees the old text or the new one.

Every JSON file carries `schema`. Each file has one writer.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

SCHEMA = 1
LOCKS_HOW = "mount the disk with locks (NFS 4; Lustre with -o flock), or set KDCORE_HOME to another disk"
_HALF_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]")


_TEMPORARY = re.compile(r"\..+\.(\d+)-[0-9a-f]{8}")  # as `replacing` names them: with the writer's process


class Damaged(ValueError):
    """A file cannot be read, or was written by another version. `reason` goes on where the file's name ends."""

    def __init__(self, file: Path, reason: str):
        super().__init__(file, reason)
        self.file, self.reason = file, reason

    def __str__(self) -> str:
        return f"{self.file} {self.reason}"


def parse_json(text: str) -> Any:
    """The value of a JSON text that can be written again. Raises ValueError for any other, however it is broken:
    numbers that are not finite or need more than 64 bits, halves of characters and endless nesting among them."""
    try:
        value = _DECODER.decode(text)
        if _HALF_CHARACTER.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except UnicodeEncodeError:
        raise ValueError("it contains half of a surrogate pair") from None
    return value


def _integer(text: str) -> int:
    value = int(text) if len(text) < 21 else 2**64
    if not -(2**63) <= value < 2**63:
        raise ValueError("it contains a number beyond 64 bits")
    return value


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("it contains a number that is not finite")
    return value


_DECODER = json.JSONDecoder(parse_int=_integer, parse_float=_float, parse_constant=_float)


def read_json(path: Path, default: Any = ...) -> Any:
    """A JSON document. Missing: `default`, or FileNotFoundError without one. Raises Damaged."""
    try:
        text = path.read_text("utf-8")
        document = parse_json(text) if text.strip() else None
    except FileNotFoundError:
        if default is ...:
            raise
        return default
    except OSError as error:
        raise Damaged(path, f"cannot be opened: {error.strerror}") from None
    except ValueError as error:
        raise Damaged(path, f"cannot be read: {error}") from None
    if not text.strip():
        raise Damaged(path, "is empty")
    if isinstance(document, dict) and document.get("schema", SCHEMA) not in (SCHEMA - 1, SCHEMA):
        found = str(document["schema"])[:20]
        raise Damaged(path, f"has schema {found}; this version reads {SCHEMA - 1} and {SCHEMA}")
    return document


def write_json(path: Path, document: Any) -> None:
    """Writes the document beside its place and moves it there, so that no reader sees half of it."""
    if isinstance(document, dict):
        document = {"schema": SCHEMA} | document
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False), "utf-8")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path to write to; it takes the place of `path` when the block ends well."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def abandoned(path: Path, now: float) -> bool:
    """Whether this is the temporary file of a writer that is gone: an hour old where no process here has the writer's
    number, else a day (it may be another process by now, or write on another host)."""
    writer = _TEMPORARY.fullmatch(path.name)
    if not writer:
        return False
    import psutil

    patience = 86400 if psutil.pid_exists(int(writer[1])) else 3600
    return now - path.lstat().st_mtime > patience


def remove(path: Path) -> None:
    """Removes a file, or a folder with all that it holds; nothing where there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """The SHA-256 of a file's content, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def lock(path: Path, timeout: float = 5.0) -> FileLock:
    """The lock file of a folder's writer. The kernel frees it when its holder dies."""
    return FileLock(path, timeout=timeout)


class NoLocks(RuntimeError):
    """The file system does not honour locks."""


@cache
def require_locks(folder: Path) -> None:
    """Takes a lock in this folder twice. Raises NoLocks where the second is granted too, or none is."""
    path = folder / f".locks-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        with FileLock(path, timeout=0):
            honoured = held(path)
    except (OSError, NotImplementedError):
        honoured = False
    finally:
        path.unlink(missing_ok=True)
    if not honoured:
        raise NoLocks(f"the file system of {folder} does not honour locks: {LOCKS_HOW}")


def held(path: Path) -> bool:
    """Whether some living process holds this lock. Holds it for a moment itself when none does."""
    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:
        return False  # its folder has just gone, or it is no file that anybody could hold
