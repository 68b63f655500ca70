"""Rounding one layer of a deployed file by hand, with numpy and ONNX Runtime alone: a page does it at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from kdcore.export.graph import constants, weighted
from kdcore.export.runtime import logits, session

Floats = NDArray[np.float32]
SHARES = np.linspace(1, 0.05, 60)  # of the largest weight that are tried as the end of the grid


class Grid(NamedTuple):
    """How weights are rounded: `clip` at the largest weight, or where the squared error is least."""

    bits: int
    symmetric: bool = True
    per_channel: bool = True
    clip: Literal["max", "mse"] = "max"

    @property
    def span(self) -> tuple[int, int]:
        """The lowest and the largest code; 8 bits are always symmetric, as in int8."""
        largest = max(1, 2 ** (self.bits - 1) - 1)
        return (-largest if self.symmetric or self.bits == 8 else -largest - 1), largest


def rounded(weight: Floats, grid: Grid) -> Floats:
    """The weights (F, …) on the grid."""
    rows = weight.reshape(len(weight), -1) if grid.per_channel else weight.reshape(1, -1)
    low, high = grid.span
    reach = np.maximum(rows.max(axis=1) / high, rows.min(axis=1) / low)[:, None]
    reach = np.where(reach > 0, reach, 1)
    best = _on(rows, reach, grid)
    if grid.clip == "mse":
        for share in SHARES[1:]:
            tried = _on(rows, reach * share, grid)
            better = _error(rows, tried) < _error(rows, best)
            best = np.where(better[:, None], tried, best)
    return best.reshape(weight.shape).astype(np.float32)


def _on(rows: Floats, step: NDArray[Any], grid: Grid) -> NDArray[Any]:
    return np.round(rows / step).clip(*grid.span) * step


def _error(rows: Floats, tried: NDArray[Any]) -> NDArray[Any]:
    return np.square(rows - tried).sum(axis=1)


def sqnr(weight: Floats, tried: Floats) -> float | None:
    """Signal to quantization noise in decibels; None where nothing was lost."""
    lost = float(np.square(weight - tried).sum())
    return 10 * float(np.log10(np.square(weight).sum() / lost)) if lost else None


class Layers:
    """The layers of a float ONNX file that can be rounded. Raises UnreadableModel."""

    def __init__(self, path: Path):
        self._model = onnx.load(path)
        stored = constants(self._model)
        found = {one.name: one for one in weighted(self._model)}
        self._stored = {
            name: one.stored for name, one in found.items() if tuple(stored[one.stored].dims) == one.weight.shape
        }
        self.weights: dict[str, Floats] = {name: found[name].weight for name in self._stored}

    def accuracy(self, images: Floats, labels: NDArray[Any], changed: dict[str, Floats] | None = None) -> float:
        """Share of the images (N, C, H, W) that are recognised with these weights in place of the file's."""
        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        for name, weight in (changed or {}).items():
            constants(model)[self._stored[name]].CopyFrom(numpy_helper.from_array(weight, self._stored[name]))
        said = logits(session(model.SerializeToString()), images)
        return float((said.argmax(axis=1) == labels).mean())
