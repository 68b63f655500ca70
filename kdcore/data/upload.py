"""Taking in a .zip of pictures from a browser: streamed to disk, limited, kept under the hash of its content."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import zipfile
from pathlib import Path, PurePosixPath
from typing import BinaryIO

MOST_BYTES = 2**33
BLOCK = 2**20
LONGEST_NAME = 80


class UploadError(ValueError):
    """What was sent is not taken; the message says why and what would be."""


def receive(file: BinaryIO, name: str, folder: Path, most: int = MOST_BYTES) -> Path:
    """Writes what was sent to `folder/<hash>/<name>.zip` and returns that path; the same content is kept once.

    It is not looked into beyond being a .zip: that happens when it is fetched as the data set `folder`. Raises
    UploadError and leaves nothing then.
    """
    if not name.lower().endswith(".zip"):
        raise UploadError(f"{name!r} is no .zip: pack the class folders into one and send that")
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{secrets.token_hex(8)}.part"
    try:
        digest = _stream(file, part, most)
        if not zipfile.is_zipfile(part):
            raise UploadError(f"{name!r} is no zip file, or only a part of one: make it again and send that")
        target = folder / digest[:32]
        target.mkdir(exist_ok=True)
        kept = next(target.glob("*.zip"), None)
        if kept:
            return kept
        os.replace(part, target / clean(name))
        return target / clean(name)
    except OSError as error:
        raise UploadError(f"it cannot be kept in {folder} ({error.strerror}): make room there") from None
    finally:
        part.unlink(missing_ok=True)


def clean(name: str) -> str:
    """A file name that every system takes, of what a browser says: letters, digits, dots, dashes, spaces."""
    stem = PurePosixPath(name.replace("\\", "/")).name[: -len(".zip")]
    return (re.sub(r"[^\w. -]+", "_", stem).strip(". ")[:LONGEST_NAME] or "pictures") + ".zip"


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
