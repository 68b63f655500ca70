"""Taking in files from a browser: streamed to disk, limited, kept under the hash of their content."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import BinaryIO

MOST_BYTES = 2**33
BLOCK = 2**20
LONGEST_NAME, LONGEST_ENDING = 80, 12


class UploadError(ValueError):
    """What was sent is not taken; the message says why and what would be."""


def receive(file: BinaryIO, name: str, folder: Path, most: int = MOST_BYTES) -> Path:
    """Keeps a .zip of pictures, as `keep` does.

    It is not looked into beyond being a .zip: that happens when it is fetched as the data set `folder`. Raises
    UploadError and leaves nothing then.
    """
    if not name.lower().endswith(".zip"):
        raise UploadError(f"{name!r} is not a .zip: pack the class folders into one and upload it")

    def check(part: Path) -> None:
        if not zipfile.is_zipfile(part):
            raise UploadError(f"{name!r} is not a complete zip file: create it again and upload it")

    return keep(file, name, folder, most, check)


def keep(
    file: BinaryIO, name: str, folder: Path, most: int = MOST_BYTES, check: Callable[[Path], None] = lambda part: None
) -> Path:
    """Writes what was sent to `folder/<hash>/<name>` and returns that path; the same content is kept once.

    `check` may look at what came and raise UploadError. Raises UploadError and leaves nothing then.
    """
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{secrets.token_hex(8)}.part"
    try:
        digest = _stream(file, part, most)
        check(part)
        target = folder / digest[:32] / clean(name)
        target.parent.mkdir(exist_ok=True)
        kept = next(target.parent.glob(f"*{target.suffix}"), None)
        if kept:
            return kept
        os.replace(part, target)
        return target
    except OSError as error:
        raise UploadError(f"it cannot be stored in {folder} ({error.strerror}): free some space") from None
    finally:
        part.unlink(missing_ok=True)


def clean(name: str) -> str:
    """A file name that every system takes, of what a browser says: letters, digits, dots, dashes, spaces."""
    base = PurePosixPath(name.replace("\\", "/")).name
    stem, _, ending = base.rpartition(".") if "." in base else (base, "", "")
    return f"{_plain(stem, LONGEST_NAME) or 'file'}.{_plain(ending, LONGEST_ENDING).lower()}".rstrip(".")


def _plain(text: str, most: int) -> str:
    return re.sub(r"[^\w. -]+", "_", text).strip(". ")[:most]


def _stream(file: BinaryIO, part: Path, most: int) -> str:
    """Copies at most `most` bytes and returns their sha256. Raises UploadError."""
    digest, size = hashlib.sha256(), 0
    with part.open("xb") as out:
        while block := file.read(BLOCK):
            size += len(block)
            if size > most:
                raise UploadError(f"it has more than {most / 1e6:,.0f} MB: put it on this machine and give its path")
            digest.update(block)
            out.write(block)
    return digest.hexdigest()
