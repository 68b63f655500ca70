"""`python -m kdcore.data.pictures.worker`: decodes a person's pictures within limits, and says how far it is.

Reads one JSON request from standard input: the options of the data set, folder, table (whether labels.csv has the
labels, or the class folders do). Writes the arrays into `folder`, and one JSON object a line to standard output:
{"done", "total", "file"}, then {"result"} or {"refused"}. A request with `picture` and `side` is for that one file, at
most `side` pixels a side, whose pixels are in the result.
"""

from __future__ import annotations

import base64
import contextlib
import json
import math
import os
import shutil
import statistics
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kdcore.data.pictures import table as tables
from kdcore.data.pictures.decode import DEPTHS, Header, decode, depth, header
from kdcore.data.pictures.layout import layout, lost
from kdcore.data.pictures.members import Member, members
from kdcore.data.pictures.names import Layout, Parts, Refused, is_foreign

MEMORY_BYTES = 2**32  # of address space, beside the arrays on disk
CPU_SECONDS = 4 * 3600
KEPT_SIDES = range(8, 257)  # pictures of one common size within these keep it
LARGEST_MEDIAN = 224  # pixels a side that are chosen where sizes differ
SPARE_BYTES = 2**28  # left free on the disk
MOST_BAD = 5  # pictures that cannot be read are named in one message, up to so many
OFFER = ": save them as JPEG or PNG, or set skip_unreadable to leave them out"


def main() -> None:
    """Serves the request on standard input."""
    request = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _limit(MEMORY_BYTES)
    try:
        say(result=one(request) if "picture" in request else work(request))
    except Refused as error:
        say(refused=str(error))


def say(**message: Any) -> None:
    """One line to the parent."""
    print(json.dumps(message), flush=True)


def _end_with_parent() -> None:
    sys.stdin.read()  # ends when the parent does, however it ends
    os._exit(1)


def _limit(size: int) -> None:
    """Bounds this process's address space and time, where the system can."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (size, hard))
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))


def work(request: dict[str, Any]) -> dict[str, Any]:
    """Makes the arrays. Returns class names, files left out and notes. Raises Refused."""
    with members(Path(request["path"])) as found:
        table, others = tables.choose(found.others) if request["table"] else (None, found.others)
        headers, bad = _each(found.pictures, _header, "looking at")
        if bad and not request["skip_unreadable"]:
            rest = [picture for picture in found.pictures if picture.shown not in bad]
            _refuse(bad | _each(rest, _tried, "looking at")[1], len(found.pictures))
        while True:
            kept = [picture for picture in found.pictures if picture.shown not in bad]
            unreadable = [picture.parts for picture in found.pictures if picture.shown in bad]
            placed, notes = _placed([picture.parts for picture in kept], unreadable, others, table, request)
            bits, failed = _prepare(kept, [headers[picture.shown] for picture in kept], placed, request)
            if not failed:
                break
            bad |= failed
            if not request["skip_unreadable"]:
                _refuse(bad, len(found.pictures))
        if bits < DEPTHS[-1]:
            notes.append(f"Pictures of 16 bits per pixel were read as {bits} bits, as they use no larger values")
        if bad:
            notes.append(f"{len(bad)} of {len(found.pictures)} pictures cannot be read and were left out: {_some(bad)}")
        return {"classes": placed.classes, "left_out": [other.shown for other in others], "notes": notes}


def one(request: dict[str, Any]) -> dict[str, Any]:
    """The pixels of one picture, as bytes in base64, and their shape. Raises Refused."""

    def opened(path: Path) -> np.ndarray:
        with path.open("rb") as file:
            about = header(file)
            scale = min(1.0, request["side"] / max(about.height, about.width))
            height, width = (max(1, round(scale * side)) for side in (about.height, about.width))
            return decode(file, height, width, about.grey, depth([about]))

    say(doing="opening", done=0, total=1, file="the picture")  # from here on the clock runs
    try:
        pixels = opened(Path(request["picture"]))
    except Exception as error:
        raise Refused(_reason(error)) from None
    return {"pixels": base64.b64encode(pixels.tobytes()).decode(), "shape": pixels.shape}


def _placed(
    names: Sequence[Parts],
    unreadable: Sequence[Parts],
    others: Sequence[Member],
    table: Member | None,
    request: dict[str, Any],
) -> tuple[Layout, list[str]]:
    """Where each picture belongs, and the classes that are lost as none of their files can be read."""
    options = {"splits": request["splits"], "test_folder": request["test_folder"]}
    if table:
        options |= {"separator": request["separator"], "unreadable": unreadable}
        return tables.layout(_content(table), table.parts, names, request["test_share"], **options), []
    foreign = [other.parts for other in others if is_foreign(other.parts)]
    gone = lost(names, [*unreadable, *foreign], **options)
    if gone and not request["skip_unreadable"]:
        raise Refused(
            "; ".join(f"class {name!r} would be empty: {_kinds(files)}" for name, files in gone.items()) + OFFER
        )
    notes = [f"Class {name!r} was left out: {_kinds(files)}" for name, files in gone.items()]
    return layout(names, request["test_share"], **options), notes


def _kinds(files: Sequence[Parts]) -> str:
    count = "its one file" if len(files) == 1 else f"none of its {len(files)} files"
    return f"{count} can{'not' * (len(files) == 1)} be read ({'/'.join(files[0])})"


def _refuse(bad: dict[str, str], total: int) -> None:
    """Raises Refused, with the first pictures that cannot be read and how many there are."""
    listed = "; ".join(f"{name} {reason}" for name, reason in list(bad.items())[:MOST_BAD])
    more = f"; and {len(bad) - MOST_BAD} more" if len(bad) > MOST_BAD else ""
    raise Refused(f"{listed}{more}. {len(bad)} of {total} pictures cannot be read{OFFER}")


def _some(bad: dict[str, str]) -> str:
    return ", ".join(list(bad)[:MOST_BAD]) + (" and others" if len(bad) > MOST_BAD else "")


def _prepare(
    pictures: Sequence[Member], headers: Sequence[Header], placed: Layout, request: dict[str, Any]
) -> tuple[int, dict[str, str]]:
    """Writes the arrays. The bits of 16 that are used, and the pictures that cannot be decoded."""
    size, folder, bits = request["size"], Path(request["folder"]), depth(headers)
    height, width = (size, size) if size else common_size(headers)
    shape = (height, width, 1 if all(one.grey for one in headers) else 3)
    _make_room(len(pictures) * math.prod(shape), folder)
    return bits, _decode(pictures, placed, shape, folder, bits)


def _content(table: Member) -> bytes:
    with table.open() as file:
        return file.read(tables.MOST_BYTES + 1)


def common_size(headers: Sequence[Header]) -> tuple[int, int]:
    """(height, width): the pictures' own where they agree, else a square of their median shorter side."""
    sizes = {(one.height, one.width) for one in headers}
    if len(sizes) == 1 and all(side in KEPT_SIDES for side in next(iter(sizes))):
        return sizes.pop()
    median = round(statistics.median(min(one.height, one.width) for one in headers))
    side = min(max(median, KEPT_SIDES.start), LARGEST_MEDIAN)
    return side, side


def _make_room(size: int, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < size + SPARE_BYTES:
        raise Refused(
            f"the decoded pictures need {size / 1e9:.1f} GB but only {free / 1e9:.1f} GB are free: choose a "
            "smaller size"
        )
    _limit(MEMORY_BYTES + size)


def _header(picture: Member) -> Header:
    with picture.open() as file:
        return header(file)


def _tried(picture: Member) -> None:
    with picture.open() as file:
        decode(file, 8, 8, grey=True)


def _decode(
    pictures: Sequence[Member], placed: Layout, shape: tuple[int, ...], folder: Path, bits: int
) -> dict[str, str]:
    """Fills the arrays; the pictures that cannot be decoded, with the reason."""
    rows: dict[str, tuple[np.ndarray, int]] = {}
    for split, chosen in (("train", placed.train), ("test", placed.test)):
        path = folder / f"{split}_images.npy"
        array = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(len(chosen), *shape))
        labels = np.array([label for _, label in chosen], dtype=np.int64)
        np.save(folder / f"{split}_labels.npy", labels if placed.sets is None else placed.sets[labels])
        rows |= {pictures[index].shown: (array, row) for row, (index, _) in enumerate(chosen)}

    def fill(picture: Member) -> None:
        array, row = rows[picture.shown]
        with picture.open() as file:
            array[row] = decode(file, shape[0], shape[1], grey=shape[2] == 1, bits=bits)

    order = [pictures[index] for index, _ in (*placed.train, *placed.test)]
    return _each(order, fill, "preparing")[1]


def _each(
    pictures: Sequence[Member], work: Callable[[Member], Any], doing: str
) -> tuple[dict[str, Any], dict[str, str]]:
    """`work` on every picture: what it made, and why it could not, by the names that are shown."""
    made: dict[str, Any] = {}
    bad: dict[str, str] = {}
    for place, picture in enumerate(pictures):
        say(doing=doing, done=place, total=len(pictures), file=picture.shown)
        try:
            made[picture.shown] = work(picture)
        except Exception as error:  # Pillow and zipfile raise many kinds for damaged files
            bad[picture.shown] = _reason(error)
    return made, bad


def _reason(error: Exception) -> str:
    """Why a picture could not be read."""
    if isinstance(error, Refused):
        return str(error)
    if isinstance(error, MemoryError):
        return "needs more memory than allowed: make it smaller"
    reason = str(error).partition("<")[0].strip() or type(error).__name__
    return f"cannot be read ({reason}): save it again, or leave it out"


if __name__ == "__main__":
    main()
