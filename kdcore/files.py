"""How files are written and locked, so that a kill loses nothing and a reader sees the old text or the new one.

Every JSON file carries `schema`. Each file has one writer.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

SCHEMA = 1


_TEMPORARY = re.compile(r"\..+\.(\d+)-[0-9a-f]{8}")  # as `replacing` names them: with the writer's process


class Damaged(ValueError):
    """A file cannot be read, or was written by another version."""


def read_json(path: Path, default: Any = ...) -> Any:
    """A JSON document. Missing: `default`, or FileNotFoundError without one. Raises Damaged."""
    try:
        document = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        if default is ...:
            raise
        return default
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise Damaged(f"{path} cannot be read: {error}") from None
    if isinstance(document, dict) and not SCHEMA - 1 <= document.get("schema", SCHEMA) <= SCHEMA:
        raise Damaged(f"{path} has schema {document['schema']}; this version reads {SCHEMA - 1} and {SCHEMA}")
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


def held(path: Path) -> bool:
    """Whether some living process holds this lock. Holds it for a moment itself when nobody does."""
    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True
