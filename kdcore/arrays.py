"""NumPy files, read beside other threads.

numpy parses the header of an array with `ast`, whose recursion counter CPython 3.11 shares between threads: two that
parse at once can end in a SystemError ("AST constructor recursion depth mismatch"). Reading again is all that it takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from kdcore.files import replacing

T = TypeVar("T")
TRIES = 10
CHUNK_BYTES = 2**22
# The kernel refuses a writable mapping that is larger than memory, even of pages that are never written.
WRITABLE_BYTES = 2**30


def load(path: Path, mmap_mode: Literal["r", "c"] | None = None) -> np.ndarray:
    """The array of a .npy file, never a pickle. Raises what `numpy.load` raises."""
    array: np.ndarray = _steadily(lambda: np.load(path, mmap_mode=mmap_mode, allow_pickle=False))
    return array


def save(path: Path, array: np.ndarray) -> None:
    """Writes the array to `path`, whole or not at all."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.save(file, array)


def mapped(path: Path) -> np.ndarray:
    """The same, memory-mapped, and copied on write where possible: torch shares only writable arrays, and nothing that
    is written reaches the disk."""
    return load(path, "c" if path.stat().st_size <= WRITABLE_BYTES else "r")


def chunks(array: np.ndarray) -> Iterator[memoryview]:
    """The bytes of the array, contiguous in memory, some megabytes of its rows at a time."""
    rows = max(CHUNK_BYTES // max(array[:1].nbytes, 1), 1)
    for start in range(0, len(array), rows):
        yield array[start : start + rows].data


def stored(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a .npz file by name, never a pickle. Raises what `numpy.load` raises."""

    def read() -> dict[str, Any]:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}

    return _steadily(read)


def _steadily(read: Callable[[], T]) -> T:
    for _ in range(TRIES - 1):
        try:
            return read()
        except SystemError:
            continue
    return read()
