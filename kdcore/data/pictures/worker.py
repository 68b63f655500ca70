"""`python -m kdcore.data.pictures.worker`: decodes a person's pictures within limits, and says how far it is.

Reads one JSON request from standard input: path, size, test_share, folder, table (whether labels.csv tells the labels,
or the class folders do). Writes the arrays into `folder`, and one
JSON object a line to standard output: {"done", "total", "file"}, then {"result"} or {"refused"}.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import statistics
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kdcore.data.pictures import table as tables
from kdcore.data.pictures.decode import Header, decode, header
from kdcore.data.pictures.members import Member, members
from kdcore.data.pictures.names import Layout, Refused, layout

MEMORY_BYTES = 2**32  # of address space, beside the arrays on disk
CPU_SECONDS = 4 * 3600
KEPT_SIDES = range(8, 257)  # pictures of one common size within these keep it
LARGEST_MEDIAN = 224  # pixels a side that are chosen where sizes differ
SPARE_BYTES = 2**28  # left free on the disk
MOST_BAD = 5  # pictures that cannot be read are named in one message, up to so many


def main() -> None:
    """Carries out the request on standard input."""
    request = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _limit(MEMORY_BYTES)
    try:
        path, folder = Path(request["path"]), Path(request["folder"])
        say(result=_work(path, request["size"], request["test_share"], folder, request["table"]))
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


def _work(path: Path, size: int | None, test_share: float, folder: Path, table: bool = False) -> dict[str, Any]:
    with members(path) as found:
        pictures, others = found.pictures, found.others
        names = [picture.parts for picture in pictures]
        if table:
            chosen, others = tables.choose(others)
            placed = tables.layout(_content(chosen), chosen.parts, names, test_share)
        else:
            placed = layout(names, test_share)
        headers = _each(pictures, range(len(pictures)), _header, "looking at")
        height, width = (size, size) if size else common_size(headers)
        grey = all(one.grey for one in headers)
        shape = (height, width, 1 if grey else 3)
        _make_room(len(pictures) * math.prod(shape), folder)
        _decode(pictures, placed, shape, folder)
    return {"classes": placed.classes, "left_out": [other.shown for other in others]}


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
            f"the decoded pictures take {size / 1e9:.1f} GB and {free / 1e9:.1f} GB are free: choose a smaller size"
        )
    _limit(MEMORY_BYTES + size)


def _header(picture: Member, _: int) -> Header:
    with picture.open() as file:
        return header(file)


def _decode(pictures: Sequence[Member], placed: Layout, shape: tuple[int, ...], folder: Path) -> None:
    arrays, order = [], []
    for split, rows in (("train", placed.train), ("test", placed.test)):
        path = folder / f"{split}_images.npy"
        array = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(len(rows), *shape))
        labels = np.array([label for _, label in rows], dtype=np.int64)
        np.save(folder / f"{split}_labels.npy", labels if placed.sets is None else placed.sets[labels])
        arrays += [(array, row) for row in range(len(rows))]
        order += [index for index, _ in rows]

    def fill(picture: Member, place: int) -> None:
        array, row = arrays[place]
        with picture.open() as file:
            array[row] = decode(file, shape[0], shape[1], grey=shape[2] == 1)

    _each([pictures[index] for index in order], range(len(order)), fill, "preparing")


def _each(pictures: Sequence[Member], places: Sequence[int], work: Any, doing: str) -> list[Any]:
    """`work` on every picture. What cannot be read is told together, in one Refused."""
    made, bad = [], []
    for picture, place in zip(pictures, places, strict=True):
        say(doing=doing, done=place, total=len(pictures), file=picture.shown)
        try:
            made.append(work(picture, place))
        except Refused as error:
            bad.append(f"{picture.shown} {error}")
        except MemoryError:
            bad.append(f"{picture.shown} takes more memory than is allowed: make it smaller")
        except Exception as error:  # Pillow and zipfile raise many kinds for damaged files
            reason = str(error).partition("<")[0].strip() or type(error).__name__
            bad.append(f"{picture.shown} cannot be read ({reason}): save it again, or leave it out")
        if len(bad) == MOST_BAD:
            break
    if bad:
        raise Refused("; ".join(bad))
    return made


if __name__ == "__main__":
    main()
