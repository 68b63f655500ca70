"""Images as they come out of the world: five corruptions at five severities, after Hendrycks and Dietterich 2019.

"Benchmarking Neural Network Robustness to Common Corruptions and Perturbations" (arXiv:1903.12261) made two sets of
strengths, for CIFAR-10-C (32 pixels a side) and for ImageNet-C (224 pixels). Both are here as published. An image takes
those that were made for a size nearer to its own: the border is 85 pixels, where both are as many times away.

What is ours, so that the strengths mean something at other sizes:

- *Blur* is given in pixels, so it grows and shrinks with the image; but below 32 pixels it stays as published, because
  the blur of a quarter of a pixel is none.
- *Pixelation* keeps a share of the pixels a side, and at each severity at least one fewer than at the one before: of 8
  pixels it keeps 7, 6, 5, 4, 3 where the published shares would keep 7, 7, 6, 6, 5.
- *Noise and JPEG* on images below 32 pixels (digits, letters, clothes: strokes at full contrast, not photographs) have
  ImageNet-C's strengths, for CIFAR-10-C's do nothing to them: a support vector machine on scikit-learn's digits loses
  0.2 and 0.8 points by severity 5 where these take 13 and 4. Each image has one pattern of noise, which grows with the
  severity.
- Values are rounded to whole bytes, where the published code cuts them off, which darkens every image by half a step.
- Grey images are grey JPEGs; images with neither one channel nor three are compressed channel by channel.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kdcore.inputs.kind import SEVERITIES

Pixels = NDArray[np.uint8]

BORDER = 85  # pixels of the shorter side: the geometric mean of 32 and 224
TRUNCATE = 4.0  # standard deviations at which the blur ends


class Strengths(NamedTuple):
    """What it is called, pixels of the shorter side of the images that it is for, five strengths of each corruption."""

    name: str
    side: int
    by_corruption: Mapping[str, tuple[float, ...]]


CIFAR = Strengths(
    "CIFAR-10-C",
    32,
    {
        "noise": (0.04, 0.06, 0.08, 0.09, 0.10),
        "blur": (0.4, 0.6, 0.7, 0.8, 1.0),
        "contrast": (0.75, 0.5, 0.4, 0.3, 0.15),
        "pixelation": (0.95, 0.9, 0.85, 0.75, 0.65),
        "jpeg": (80, 65, 58, 50, 40),
    },
)
IMAGENET = Strengths(
    "ImageNet-C",
    224,
    {
        "noise": (0.08, 0.12, 0.18, 0.26, 0.38),
        "blur": (1, 2, 3, 4, 6),
        "contrast": (0.4, 0.3, 0.2, 0.1, 0.05),
        "pixelation": (0.6, 0.5, 0.4, 0.3, 0.25),
        "jpeg": (25, 18, 15, 10, 7),
    },
)
CORRUPTIONS: dict[str, str] = {
    "noise": "Noise",
    "blur": "Blur",
    "contrast": "Contrast",
    "pixelation": "Pixelation",
    "jpeg": "JPEG",
}


def strengths(height: int, width: int) -> Strengths:
    """The strengths for images of this size; those of blur are scaled to it."""
    side = min(height, width)
    published = CIFAR if side <= BORDER else IMAGENET
    scale = max(1.0, side / CIFAR.side) if published is CIFAR else side / IMAGENET.side
    sigmas = tuple(round(scale * sigma, 3) for sigma in published.by_corruption["blur"])
    ours = {**published.by_corruption, "blur": sigmas}
    if side >= CIFAR.side:
        return Strengths(published.name, side, ours)
    ours |= {name: IMAGENET.by_corruption[name] for name in ("noise", "jpeg")}
    return Strengths(f"{CIFAR.name}, noise and JPEG of {IMAGENET.name}", side, ours)


def kept(side: int, severity: int, shares: tuple[float, ...]) -> int:
    """Pixels that pixelation leaves of `side` at a severity."""
    left = side
    for share in shares[:severity]:
        left = max(1, min(int(side * share), left - 1))
    return left


def strength(corruption: str, severity: int, height: int, width: int) -> str:
    """The strength in words, for images of this size."""
    found = strengths(height, width).by_corruption[corruption]
    value = found[severity - 1]
    return {
        "noise": f"standard deviation {100 * value:g} % of white",
        "blur": f"standard deviation {value:.3g} px",
        "contrast": f"{100 * value:g} % of the contrast",
        "pixelation": f"{kept(width, severity, found)} of {width} pixels a side",
        "jpeg": f"quality {value:g}",
    }[corruption]


def corrupt(images: Pixels, corruption: str, severity: int, seed: int = 0) -> Pixels:
    """These images uint8 (N, H, W, C), corrupted at severity 1 to 5; shape and type stay.

    An image comes out the same whatever stands beside it: its noise derives from the seed and its own pixels.
    Raises ValueError for an unknown corruption, another severity or images of another kind.
    """
    if corruption not in _WAYS:
        raise ValueError(f"there is no corruption {corruption!r}; there are: {', '.join(_WAYS)}")
    if severity not in SEVERITIES:
        raise ValueError(f"severity {severity} is not accepted; there are 1 to 5")
    if images.dtype != np.uint8 or images.ndim != 4:
        raise ValueError(f"images are uint8 (N, H, W, C), not {images.dtype} {images.shape}")
    found = strengths(*images.shape[1:3]).by_corruption[corruption]
    return _WAYS[corruption](images, found, severity, seed)


def at_strength(images: Pixels, corruption: str, value: float, seed: int = 0) -> Pixels:
    """These images uint8 (N, H, W, C) with noise, blur or contrast of any strength, in the units of `Strengths`."""
    return _WAYS[corruption](images, (value,), 1, seed)


def _noise(images: Pixels, stds: tuple[float, ...], severity: int, seed: int) -> Pixels:
    patterns = [
        np.random.RandomState([seed, zlib.crc32(image.tobytes())]).standard_normal(image.shape) for image in images
    ]
    noise = np.stack(patterns) if patterns else np.zeros(images.shape)
    return _bytes(images / 255.0 + stds[severity - 1] * noise)


def _blur(images: Pixels, sigmas: tuple[float, ...], severity: int, seed: int) -> Pixels:
    height, width = images.shape[1:3]
    down, across = (_smoothing(side, sigmas[severity - 1]) for side in (height, width))
    rows = np.tensordot(images / 255.0, down, (1, 1))  # (N, W, C, H)
    return _bytes(np.tensordot(rows, across, (1, 1)).transpose(0, 2, 3, 1))  # (N, C, H, W) before


def _smoothing(side: int, sigma: float) -> NDArray[np.float64]:
    """The matrix (side, side) that blurs a line of pixels; beyond the edge the last pixel goes on."""
    radius = int(TRUNCATE * sigma + 0.5)
    offsets = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    matrix = np.zeros((side, side))
    places = np.arange(side)
    for offset, weight in zip(offsets, weights / weights.sum(), strict=True):
        np.add.at(matrix, (places, np.clip(places + offset, 0, side - 1)), weight)
    return matrix


def _contrast(images: Pixels, shares: tuple[float, ...], severity: int, seed: int) -> Pixels:
    values = images / 255.0
    means = values.mean(axis=(1, 2), keepdims=True)
    return _bytes((values - means) * shares[severity - 1] + means)


def _pixelation(images: Pixels, shares: tuple[float, ...], severity: int, seed: int) -> Pixels:
    height, width = images.shape[1:3]
    small = kept(width, severity, shares), kept(height, severity, shares)

    def pixelated(picture: Image.Image) -> Image.Image:
        return picture.resize(small, Image.Resampling.BOX).resize((width, height), Image.Resampling.BOX)

    return _each(images, pixelated)


def _jpeg(images: Pixels, qualities: tuple[float, ...], severity: int, seed: int) -> Pixels:
    def compressed(picture: Image.Image) -> Image.Image:
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=int(qualities[severity - 1]))
        return Image.open(file)

    return _each(images, compressed)


def _each(images: Pixels, way: Callable[[Image.Image], Image.Image]) -> Pixels:
    """Every image through Pillow: in colour where it has three channels, else one channel after the other."""
    made = np.empty_like(images)
    for place, image in enumerate(images):
        if image.shape[-1] == 3:
            made[place] = np.asarray(way(Image.fromarray(image)))
        else:
            for channel in range(image.shape[-1]):
                made[place, ..., channel] = np.asarray(way(Image.fromarray(image[..., channel])))
    return made


def _bytes(values: NDArray[np.float64]) -> Pixels:
    """Values in 0..1, and somewhat beyond, to the nearest bytes."""
    return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)


_WAYS: dict[str, Callable[[Pixels, tuple[float, ...], int, int], Pixels]] = {
    "noise": _noise,
    "blur": _blur,
    "contrast": _contrast,
    "pixelation": _pixelation,
    "jpeg": _jpeg,
}
