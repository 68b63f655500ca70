"""NumPy files, read beside other threads.

numpy parses the header of an array with `ast`, whose recursion counter CPython 3.11 shares between threads: two that
parse at once can end in a SystemError ("AST constructor recursion depth mismatch"). Reading again is all that it takes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

T = TypeVar("T")
TRIES = 10


def load(path: Path, mmap_mode: Literal["r", "c"] | None = None) -> np.ndarray:
    """The array of a .npy file, never a pickle. Raises what `numpy.load` raises."""
    array: np.ndarray = _steadily(lambda: np.load(path, mmap_mode=mmap_mode, allow_pickle=False))
    return array


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
