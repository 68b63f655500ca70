"""Rows of different lengths in flat arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Ragged(NamedTuple):
    """N rows of different lengths, one after the other: `flat` (T,), and where each one ends in it, int64 (N,)."""

    flat: np.ndarray
    ends: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        return np.diff(self.ends, prepend=0)

    def row(self, place: int) -> np.ndarray:
        """One of them."""
        return self.flat[self.ends[place - 1] if place else 0 : self.ends[place]]

    def rows(self, places: np.ndarray) -> Ragged:
        """Some of them, in this order."""
        lengths = self.lengths[places]
        ends = np.cumsum(lengths)
        within = np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - lengths, lengths)
        return Ragged(self.flat[np.repeat(self.ends[places] - lengths, lengths) + within], ends)

    def padded(self) -> np.ndarray:
        """int64 (N, L), each row filled with 0, the padding, to the length of the longest."""
        lengths = self.lengths
        filled = np.arange(max(lengths, default=1)) < lengths[:, None]
        made = np.full(filled.shape, 0, np.int64)
        made[filled] = self.flat
        return made
