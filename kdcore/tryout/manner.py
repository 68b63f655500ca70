"""How a data set's images look, so that a person's own input can be made to look like them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

LOOKED_AT = 1000  # images
NEAR = 26  # of 255: this near to the ground's value a pixel belongs to it
GROUND_SHARE = 0.3  # share of the pixels that belong to the ground where images are marks on a plain ground
WIDE = 90  # percentile: an image may be as wide as this
THIN = 25  # percentile: an image has at least this much ink


class Manner(NamedTuple):
    """`height`, `width`, `channels` of an image in pixels.

    `ground`: 0 or 255 where the images are marks on a plain black or white ground, else None. Of such images `tall` and
    `wide` are the usual extents of the marks in pixels, `centre` (row, column) their usual centre of mass, and `ink`
    how much of an image they cover at least, 0..1.
    """

    height: int
    width: int
    channels: int
    ground: int | None = None
    tall: float = 0.0
    wide: float = 0.0
    centre: tuple[float, float] = (0.0, 0.0)
    ink: float = 0.0

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.height, self.width, self.channels


def manner(images: Pixels) -> Manner:
    """The manner of uint8 (N, H, W, C), at least one image."""
    some = np.asarray(images[:: max(1, len(images) // LOOKED_AT)])
    height, width, channels = some.shape[1:]
    plain = Manner(height, width, channels)
    if channels != 1:
        return plain
    near = {ground: np.abs(some.astype(np.int16) - ground) <= NEAR for ground in (0, 255)}
    ground = max(near, key=lambda value: near[value].mean())
    if near[ground].mean() < GROUND_SHARE:
        return plain
    ink = marks(some[..., 0], ground)
    ink = ink[ink.any(axis=(1, 2))]
    if not len(ink):
        return plain
    tall, wide = (_extents(np.asarray(ink.any(axis=axis))) for axis in (2, 1))
    mass = ink.sum(axis=(1, 2))
    rows, columns = ink.sum(axis=2) @ np.arange(height) / mass, ink.sum(axis=1) @ np.arange(width) / mass
    centre = float(rows.mean()), float(columns.mean())
    extents = float(np.median(tall)), float(np.percentile(wide, WIDE))
    return Manner(
        height, width, channels, ground, *extents, centre, float(np.percentile(mass, THIN) / (height * width))
    )


def marks(grey: Pixels, ground: int) -> NDArray[np.float64]:
    """How much ink each pixel has, 0..1; what is near the ground's value has none."""
    away = np.abs(grey.astype(np.float64) - ground)
    return np.where(away > NEAR, away, 0.0) / 255


def _extents(occupied: NDArray[np.bool_]) -> NDArray[np.intp]:
    """(N,) pixels from the first to the last one that is occupied, of bool (N, side)."""
    side = occupied.shape[1]
    return side - occupied[:, ::-1].argmax(axis=1) - occupied.argmax(axis=1)
