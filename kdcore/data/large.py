"""Sets of large images: decoded once, straight out of their archives, into arrays on disk."""

from __future__ import annotations

import io
import itertools
import os
import tarfile
import zipfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kdcore.data.types import Progress, RawImages, Work

THREADS = 4
AHEAD = 64  # undecoded images in memory


class Listing(NamedTuple):
    """Which member of the archive is in which split: (name, label) in the order of the arrays, and the class names."""

    train: Sequence[tuple[str, int]]
    test: Sequence[tuple[str, int]]
    classes: Sequence[str]


def pictures(archive: Path, listing: Listing, work: Work, size: int, classes: int | None = None) -> RawImages:
    """The listed images as squares of `size`, of the first `classes` classes. Raises ValueError."""
    count = classes or len(listing.classes)
    kept = {
        "train": [(name, label) for name, label in listing.train if label < count],
        "test": [(name, label) for name, label in listing.test if label < count],
    }
    arrays = {split: work.array(f"{split}_images", (len(rows), size, size, 3)) for split, rows in kept.items()}
    places = {name: (arrays[split], row) for split, rows in kept.items() for row, (name, _) in enumerate(rows)}
    total = len(places)

    def decode(name: str, content: bytes) -> None:
        array, row = places.pop(name)
        try:
            array[row] = square(content, size)
        except OSError as error:
            raise ValueError(f"{name} in {archive.name} cannot be decoded: {error}") from None

    wanted = ((name, content()) for name, content in members(archive) if name in places)
    for done in _each(wanted, decode):
        work.tell(Progress("preparing", done, total, "pictures"))
    if places:
        raise ValueError(f"{archive.name} does not contain {next(iter(places))}")
    labels = {split: np.array([label for _, label in rows], dtype=np.int64) for split, rows in kept.items()}
    return RawImages(arrays["train"], labels["train"], arrays["test"], labels["test"], tuple(listing.classes[:count]))


def _each(items: Iterator[tuple[str, bytes]], work: Callable[[str, bytes], None]) -> Iterator[int]:
    """Calls `work` on every item in threads (Pillow decodes without the interpreter's lock), a few ahead at most.

    Yields how many are done.
    """
    running: deque[Future[None]] = deque()
    done = itertools.count(1)
    with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as pool:
        try:
            for name, content in items:
                running.append(pool.submit(work, name, content))
                if len(running) > AHEAD:
                    running.popleft().result()
                    yield next(done)
            while running:
                running.popleft().result()
                yield next(done)
        finally:
            for waiting in running:
                waiting.cancel()


def square(content: bytes, size: int) -> np.ndarray:
    """uint8 (size, size, 3): the middle square of a picture, brought to `size`. Raises OSError."""
    from PIL import Image

    with Image.open(io.BytesIO(content)) as image:
        image.draft("RGB", (2 * size, 2 * size))  # a JPEG is decoded at a fraction of its size, which is much faster
        side = min(image.size)
        left, top = (image.width - side) / 2, (image.height - side) / 2
        box = (left, top, left + side, top + side)
        return np.asarray(image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR, box=box))


def members(archive: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Name and content of every file in a .zip or .tar(.gz), in its order; the content only while it is the last."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as whole:
            for info in whole.infolist():
                if not info.is_dir():
                    yield info.filename, partial(whole.read, info)
        return
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile():
                yield member.name, partial(_content, tar, member)


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    return file.read() if file else b""


def texts(archive: Path, names: Sequence[str]) -> list[str]:
    """The text files of these names. Raises ValueError where one is not there."""
    found: dict[str, str] = {}
    for name, content in members(archive):
        if name in names:
            found[name] = content().decode()
        if len(found) == len(names):
            break
    if absent := set(names) - set(found):
        raise ValueError(f"{archive.name} does not contain {', '.join(sorted(absent))}")
    return [found[name] for name in names]
