"""The files in a folder or a .zip, checked before a byte of them is unpacked. Nothing is ever extracted to disk."""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from kdcore.data.pictures.names import Parts, Refused, is_junk, is_picture, parts

MOST_FILES = 1_000_000
MOST_FILE_BYTES = 2**28  # of one picture's file
MOST_BYTES = 2**37  # unpacked, all together
MOST_RATIO = 200  # unpacked to packed: pictures are packed already, so more is a bomb
RATIO_FROM = 2**24  # bytes; small files may well be blank and pack to nothing


class Member(NamedTuple):
    """A picture's name, how messages show it, and how to open it."""

    parts: Parts
    shown: str
    open: Callable[[], BinaryIO]


class Listing(NamedTuple):
    """The pictures, and the other files."""

    pictures: list[Member]
    others: list[Member]


@contextmanager
def members(path: Path) -> Iterator[Listing]:
    """The pictures at `path`, which can be opened while the block lasts. Raises Refused."""
    if path.is_dir():
        yield _sorted_out(_in_folder(path))
        return
    if not path.is_file():  # a pipe would never end
        raise Refused("it is neither a folder nor a file: give a folder or a .zip with pictures")
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise Refused(f"it is not a readable zip file ({error}): create it again") from None
    with archive:
        yield _sorted_out(_in_archive(archive))


def _sorted_out(found: Iterator[Member]) -> Listing:
    pictures, others = [], []
    for member in found:
        if is_picture(member.parts):
            pictures.append(member)
        else:
            others.append(member)
    return Listing(pictures, others)


def _in_archive(archive: zipfile.ZipFile) -> Iterator[Member]:
    infos = archive.infolist()
    _check_sums(infos)
    seen: set[Parts] = set()
    for info in infos:
        name = parts(info.filename)
        if info.is_dir() or is_junk(name):
            continue
        shown = "/".join(name)
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            raise Refused(f"{shown} is a link or not a file: put the picture itself into the archive")
        if info.flag_bits & 1:
            raise Refused(f"{shown} is protected by a password: create the archive without one")
        if name in seen:
            raise Refused(f"{shown} is in the archive twice: create it again")
        seen.add(name)
        if is_picture(name):
            _check_size(shown, info.file_size)
        yield Member(name, shown, cast(Callable[[], BinaryIO], partial(archive.open, info)))


def _check_sums(infos: list[zipfile.ZipInfo]) -> None:
    if len(infos) > MOST_FILES:
        raise Refused(f"the archive contains {len(infos)} files; {MOST_FILES} are accepted: leave some out")
    unpacked = sum(info.file_size for info in infos)
    if unpacked > MOST_BYTES:
        raise Refused(f"the archive unpacks to {unpacked / 2**30:.0f} GB; {MOST_BYTES >> 30} are accepted: split it")
    packed = sum(info.compress_size for info in infos)
    if unpacked > RATIO_FROM and unpacked > MOST_RATIO * max(packed, 1):
        raise Refused(f"the archive unpacks to {unpacked // max(packed, 1)} times its size, which pictures never do")


def _check_size(shown: str, size: int) -> None:
    if size > MOST_FILE_BYTES:
        raise Refused(f"{shown} has {size >> 20} MB; {MOST_FILE_BYTES >> 20} are accepted: make the picture smaller")


def _in_folder(top: Path) -> Iterator[Member]:
    count = 0
    for here, folders, files in os.walk(top, onerror=_unreadable):
        inside = Path(here).relative_to(top).parts
        kept = [name for name in folders if not is_junk(parts(name))]
        folders[:] = kept
        for name in (*kept, *files):
            path = Path(here, name)
            if path.is_symlink() and not is_junk(parts(name)):
                raise Refused(f"{'/'.join((*inside, name))} is a link: put the picture or the folder itself there")
        for name in files:
            count += 1
            if count > MOST_FILES:
                raise Refused(f"{top} contains more than {MOST_FILES} files: leave some out")
            whole = parts("/".join((*inside, name)))
            path, shown = Path(here, name), "/".join(whole)
            if is_junk(whole) or not path.is_file():
                continue
            if is_picture(whole):
                _check_size(shown, path.stat().st_size)
            yield Member(whole, shown, partial(_open, path))


def _open(path: Path) -> BinaryIO:
    return path.open("rb")


def _unreadable(error: OSError) -> None:
    raise Refused(f"{error.filename} cannot be read ({error.strerror}): change its permissions, or leave it out")
