"""Downloading the files of a data set: with progress, resumed after a kill, verified, and helpful without a network."""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

from kdcore.data.types import Progress, Remote

BLOCK = 2**20
TIMEOUT = 30.0  # s without a single byte
SPARE_BYTES = 2**28  # left free on the disk


class FetchFailed(RuntimeError):
    """A data set could not be fetched; the message says why and what to do."""


class _Wrong(Exception):
    """One address did not give the file; the text says why."""


def download(files: Sequence[Remote], folder: Path, tell: Callable[[Progress], None]) -> None:
    """Puts the files that are not there yet into `folder` and verifies all of them. Raises FetchFailed.

    One process at a time: the caller holds a lock. A part that was downloaded before a kill is kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    absent = [file for file in files if not (folder / file.name).exists()]
    _check_disk(absent, folder)
    for number, file in enumerate(absent):
        before = sum(known.bytes for known in absent[:number])
        total = sum(known.bytes for known in absent)

        def on_bytes(done: int, whole: int, file: Remote = file, before: int = before, total: int = total) -> None:
            tell(Progress(f"downloading {file.name}", before + done, total - file.bytes + whole, "bytes"))

        _get(file, absent[number:], folder, on_bytes)
    for file in files:
        if file not in absent:
            _verify(file, folder, tell)


def _check_disk(absent: Sequence[Remote], folder: Path) -> None:
    wanted = sum(file.bytes for file in absent)
    free = shutil.disk_usage(folder).free
    if absent and free < wanted + SPARE_BYTES:
        raise FetchFailed(
            f"{folder} has {free / 1e9:.1f} GB free and the download takes {wanted / 1e9:.1f} GB: "
            "make room, or set KDCORE_DATA to a folder on a larger disk"
        )


def _get(file: Remote, absent: Sequence[Remote], folder: Path, on_bytes: Callable[[int, int], None]) -> None:
    """Tries each address in turn."""
    reasons = []
    for url in file.urls:
        try:
            _get_from(url, file, folder, on_bytes)
            return
        except _Wrong as error:
            reasons.append(f"{urllib.parse.urlsplit(url).netloc}: {error}")
    by_hand = ", ".join(f"{known.name} from {known.urls[0]}" for known in absent)
    raise FetchFailed(
        f"{file.name} could not be downloaded ({'; '.join(reasons)}). Without a network, put this into "
        f"{folder}: {by_hand}; then fetch again"
    )


def _get_from(url: str, file: Remote, folder: Path, on_bytes: Callable[[int, int], None]) -> None:
    part = folder / f"{file.name}.part"
    resumed = part.exists()
    try:
        _transfer(url, file, part, on_bytes)
    except (OSError, http.client.HTTPException) as error:
        raise _Wrong(_reason(error)) from None
    if _md5(part) == file.md5:
        os.replace(part, folder / file.name)
        return
    part.unlink()
    if resumed:  # the older part may be what was wrong
        _get_from(url, file, folder, on_bytes)
        return
    raise _Wrong("the download is not the expected file")


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answered {error.code} {error.reason}"
    return str(getattr(error, "reason", None) or error) or type(error).__name__


def _transfer(url: str, file: Remote, part: Path, on_bytes: Callable[[int, int], None]) -> None:
    """Brings `part` to its full length; goes on where it ends when the server can."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "kdcore"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # nothing is left to get: the md5 shows whether it is whole
        raise
    with answer:
        if have and answer.status != http.client.PARTIAL_CONTENT:
            have = 0
        length = answer.headers.get("Content-Length")
        whole = have + int(length) if length else file.bytes
        with part.open("ab" if have else "wb") as out:
            on_bytes(have, whole)
            while block := answer.read(BLOCK):
                out.write(block)
                have += len(block)
                on_bytes(have, max(whole, have))
    if length and have < whole:
        raise OSError(f"the connection ended after {have} of {whole} bytes")


def _verify(file: Remote, folder: Path, tell: Callable[[Progress], None]) -> None:
    path = folder / file.name
    tell(Progress(f"checking {file.name}", 0, path.stat().st_size, "bytes"))
    found = _md5(path)
    if found != file.md5:
        raise FetchFailed(
            f"{path} is not the expected file (its md5 is {found}, not {file.md5}): delete it and fetch "
            f"again, or put {file.name} from {file.urls[0]} there"
        )


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
