"""Whether the files of a finished model are as they were written: their sizes at every look, their content when used.

`done.json`, written last, has the size and the SHA-256 of each file. Models of earlier versions have neither; of them
is known whether each file is whole by its own format.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import zipfile
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from kdcore.files import Damaged, read_json, sha256

DONE = "done.json"
LEFTOVERS = ("checkpoint", "scratch")  # of the work on a model; without use once it is finished
ASIDE = "model-"  # how the name of a model in the trash begins
Identity = tuple[int, int]  # modification time (ns) and size


class _File(BaseModel):
    size: int
    sha256: str


class _Done(BaseModel):
    files: dict[str, _File] | None = None
    dataset: dict[str, Any] | None = None


def inventory(folder: Path) -> dict[str, dict[str, Any]]:
    """Size and SHA-256 of each file of a model that is about to be finished, for `done.json`."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    return {
        path.name: {"size": path.stat().st_size, "sha256": sha256(path)}
        for path in files
        if path.name not in ("lock", DONE)
    }


def damage(folder: Path, read: Iterable[str] | None = ()) -> str | None:
    """What is wrong with a finished model, in words; None where nothing is.

    Sizes and the content of JSON files are looked at every time, the content of the files in `read` too (None: of all);
    an unchanged file is read once a process.
    """
    read = None if read is None else frozenset(read)
    try:
        done = _done(folder / DONE, _identity(folder / DONE))
        if done.files is None:
            return _unhashed(folder)
        for name, written in done.files.items():
            path = os.path.join(folder, name)  # text: pathlib takes longer than the file system
            seen = _identity(path)
            if seen[1] != written.size:
                return f"{name} has {seen[1]:,} bytes instead of {written.size:,}"
            looked_into = read is None or name in read or name.endswith(".json")
            if looked_into and _sha256(path, seen) != written.sha256:
                return f"the content of {name} has changed"
    except FileNotFoundError as error:
        return f"{Path(error.filename).name} is missing"
    except OSError as error:
        return f"{Path(error.filename or folder).name} cannot be read ({error.strerror})"
    except (Damaged, ValidationError, RecursionError):
        return f"{DONE} is invalid"
    return None


def _identity(path: str | Path) -> Identity:
    """Raises OSError where there is no file, or a folder in its place."""
    info = os.stat(path)
    if not stat.S_ISREG(info.st_mode):
        raise OSError(errno.EINVAL, "it is not a file", str(path))
    return info.st_mtime_ns, info.st_size


@lru_cache(maxsize=4096)
def _done(path: Path, _seen: Identity) -> _Done:
    return _Done.model_validate(read_json(path), strict=True)


@lru_cache(maxsize=16384)
def _sha256(path: str, _seen: Identity) -> str:
    return sha256(Path(path))


def _unhashed(folder: Path) -> str | None:
    """A model of an earlier version: the first of its files that is cut short. Raises OSError."""
    report, onnx = folder / "report.json", folder / "model.onnx"
    for path in (report, *(folder / name for name in _WHOLE)):
        if (path == report or path.exists()) and not _whole(path, _identity(path)):
            return f"{path.name} is cut short"
    expected = _onnx_bytes(report, _identity(report))
    if expected and onnx.exists() and _identity(onnx)[1] != expected:
        return f"{onnx.name} has {_identity(onnx)[1]:,} bytes instead of {expected:,}"
    return None


@lru_cache(maxsize=4096)
def _onnx_bytes(report: Path, _seen: Identity) -> int | None:
    size = _json(report).get("size")
    return size.get("size_bytes") if isinstance(size, dict) else None


@lru_cache(maxsize=16384)
def _whole(path: Path, _seen: Identity) -> bool:
    return _WHOLE[path.name](path)


def _json(path: Path) -> dict[str, Any]:
    document = read_json(path)
    if not isinstance(document, dict):
        raise Damaged(path, "contains no JSON object")
    return document


def _is_json(path: Path) -> bool:
    try:
        return bool(_json(path))
    except (Damaged, RecursionError):
        return False


def _is_safetensors(path: Path) -> bool:
    """Whether the file is as long as its header says."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > path.stat().st_size:
            return False
        try:
            header = json.loads(file.read(length))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return False
    return bool(path.stat().st_size == 8 + length + max(ends, default=0))


_WHOLE = {
    "report.json": _is_json,
    "architecture.json": _is_json,
    "model.safetensors": _is_safetensors,
    "logits.npz": zipfile.is_zipfile,
    "members.npz": zipfile.is_zipfile,
    "answers.npz": zipfile.is_zipfile,
}
