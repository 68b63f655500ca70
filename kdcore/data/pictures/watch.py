"""What changes when a person's pictures do: the folders that are read, their tables of labels, and their files."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from kdcore.data.pictures.names import TABLE, is_junk

MOST_FILES = 2000  # files whose own size and time are looked at; of more, folders and tables alone
SETTLED = 2 * 10**9  # ns: a younger folder may change again without another time of its own


class Inside(NamedTuple):
    """What a folder holds: folders, tables, and `many` other files, which are not listed beyond MOST_FILES."""

    folders: tuple[str, ...]
    tables: tuple[str, ...]
    files: tuple[str, ...]
    many: int


def stamp(top: Path) -> str:
    """16 hex digits that change when a file below `top` comes, goes, is moved or renamed, or a table is edited.

    A picture that is overwritten in place is noticed among up to MOST_FILES files; among more, touch its folder.
    Raises OSError.
    """
    return hashlib.sha256("\n".join(_seen(str(top))).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _seen(top: str) -> Iterator[str]:
    """A line for everything that is watched, in a fixed order."""
    waiting, count = [top], 0
    files: list[str] = []
    while waiting:
        here = waiting.pop()
        changed = os.stat(here).st_mtime_ns
        inside = _inside(here, changed) if time.time_ns() - changed > SETTLED else _inside.__wrapped__(here, changed)
        yield f"{here}:{changed}"
        yield from map(_line, inside.tables)
        waiting += inside.folders
        count += inside.many
        files = [*files, *inside.files] if count <= MOST_FILES else []
    yield from map(_line, files)


def _line(path: str) -> str:
    found = os.stat(path, follow_symlinks=False)
    return f"{path}:{found.st_mtime_ns}:{found.st_size}"


@lru_cache(maxsize=10_000)
def _inside(folder: str, changed: int) -> Inside:
    """What lies in a folder that last changed at `changed`, ns: while it does not change, it is not read again."""
    count = 0
    folders: list[str] = []
    tables: list[str] = []
    files: list[str] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_junk((entry.name,)):
                continue
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.path)
            elif entry.name.casefold() == TABLE:
                tables.append(entry.path)
            else:
                count += 1
                if count <= MOST_FILES:
                    files.append(entry.path)
    kept = files if count <= MOST_FILES else []
    return Inside(tuple(sorted(folders)), tuple(sorted(tables)), tuple(sorted(kept)), count)
