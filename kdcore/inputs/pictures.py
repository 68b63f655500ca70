"""Pictures: uint8 (N, H, W, C) in data sets, float32 (B, C, H, W) in [0, 1] for networks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kdcore import arrays
from kdcore.inputs import augmentation, corruptions, disturb, images
from kdcore.inputs.kind import Disturbance, Kind, Shape, Shown, laid_out
from kdcore.lazy import torch
from kdcore.recipe import Augmentation

SMALLEST = 8  # pixels a side: smaller ones vanish in the pooling layers


class Pictures(Kind):
    name = "pictures"
    one, many = "image", "images"
    onnx_name = "images"
    corruptions = corruptions.CORRUPTIONS
    corrupted_how = (
        "noise, blur, low contrast, coarse pixels or JPEG artefacts, at five severities each (Hendrycks and Dietterich "
        "2019)"
    )
    sources = ("draw", "upload", "camera")

    def checked(self, items: np.ndarray, like: np.ndarray) -> np.ndarray:
        if items.dtype != np.uint8 or items.ndim != 4 or items.shape[1:] != like.shape[1:]:
            raise ValueError(f"images must be uint8 (N, H, W, C) of one size, not {items.dtype} {items.shape}")
        return np.ascontiguousarray(items)

    def files(self, name: str) -> tuple[str, ...]:
        return (f"{name}.npy",)

    def fits(self, folder: Path, name: str, shape: Shape, count: int) -> bool:
        channels, height, width = shape
        items = self.load(folder, name)
        return items.dtype == np.uint8 and items.shape == (count, height, width, channels)

    def save(self, items: np.ndarray, folder: Path, name: str) -> None:
        path = folder / f"{name}.npy"
        if not path.exists():  # else it grew there
            arrays.save(path, items)

    def load(self, folder: Path, name: str) -> np.ndarray:
        return arrays.mapped(folder / f"{name}.npy")

    def chunks(self, items: np.ndarray) -> Iterator[memoryview]:
        return arrays.chunks(items)

    def moments(self, items: np.ndarray) -> tuple[list[float], list[float]]:
        """From each channel's histogram: exact, and no float copy. `std` is at least 1/255."""
        counts = np.zeros((items.shape[-1], 256), dtype=np.int64)
        for chunk in arrays.chunks(items):
            pixels = np.frombuffer(chunk, np.uint8).reshape(-1, items.shape[-1])
            for channel in range(items.shape[-1]):
                counts[channel] += np.bincount(pixels[:, channel], minlength=256)
        levels = np.arange(256) / 255
        mean, std = [], []
        for share in counts / (items.size // items.shape[-1]):
            centre = float(share @ levels)
            mean.append(centre)
            std.append(max(float(np.sqrt(share @ (levels - centre) ** 2)), 1 / 255))
        return mean, std

    def shape(self, items: np.ndarray) -> Shape:
        height, width, channels = items.shape[1:]
        return channels, height, width

    def check(self, shape: Shape, mean: Sequence[float], std: Sequence[float]) -> None:
        channels, *size = shape
        if min(size) < SMALLEST:
            raise ValueError(f"images of {size[0]}x{size[1]} pixels are too small; {SMALLEST} a side are needed")
        if not channels == len(mean) == len(std) or min(std) <= 0:
            raise ValueError(f"needs a mean and a positive std for each of {channels} channels, not {mean} and {std}")

    def neutral(self, shape: Shape) -> tuple[list[float], list[float]]:
        return [0.0] * shape[0], [1.0] * shape[0]

    def sound(self, shape: Shape) -> bool:
        return len(shape) == 3 and all(type(length) is int and 1 <= length < 2**31 for length in shape)

    def size(self, shape: Shape) -> str:
        channels, height, width = shape
        return f"images {height}x{width} in {channels} channel{'s' * (channels > 1)}"

    def values(self, shape: Shape) -> int:
        return math.prod(shape)

    def hold(
        self, items: np.ndarray, rows: np.ndarray, device: torch.device
    ) -> images.InMemoryImages | images.StreamedImages:
        return images.images(items, rows, device)

    def tensor(self, items: np.ndarray, device: torch.device | str = "cpu") -> torch.Tensor:
        return images.pixels(items, device)

    def ready(self, kept: torch.Tensor) -> torch.Tensor:
        return images.unit(kept)

    def portions(self, kept: torch.Tensor) -> Iterator[torch.Tensor]:
        return images.portions(kept)

    def views(
        self, kept: torch.Tensor, targets: torch.Tensor, views: Augmentation, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        shown, targets = augmentation.apply(self.ready(kept), targets, views, generator)
        return laid_out(shown), targets

    def impossible(self, views: Augmentation) -> dict[str, str]:
        return {}

    def axes(self, shape: Shape) -> dict[int, Any]:
        return {0: torch.export.Dim("batch")}

    def feed(self, items: np.ndarray) -> np.ndarray:
        return images.feed(items)

    def samples(self, items: np.ndarray) -> list[np.ndarray]:
        return [images.feed(items)]

    def plain(self, shape: Shape, batch: int) -> np.ndarray:
        return np.zeros((batch, *shape), np.float32)

    def random(self, shape: Shape, batch: int, generator: np.random.Generator) -> np.ndarray:
        return generator.random((batch, *shape), dtype=np.float32)

    def array(self, items: np.ndarray) -> np.ndarray:
        return items

    def features(self, train: np.ndarray, test: np.ndarray) -> tuple[Any, Any]:
        """Raw pixels in 0..1, float32."""
        found = [np.asarray(images).reshape(len(images), -1) / np.float32(255) for images in (train, test)]
        return found[0], found[1]

    def shown(self, items: np.ndarray, row: int) -> Shown:
        return Shown(picture=items[row])

    def measured(self, one: np.ndarray) -> str:
        height, width = one.shape[1:3]
        return f"{width}x{height} pixels"

    def strengths(self, shape: Shape) -> dict[str, Any]:
        found = corruptions.strengths(*shape[1:])
        return {
            "strengths": found.name,
            "by_corruption": {name: list(values) for name, values in found.by_corruption.items()},
        }

    def strength(self, shape: Shape, name: str, severity: int) -> str:
        return corruptions.strength(name, severity, *shape[1:])

    def corrupted(self, items: np.ndarray, name: str, severity: int, seed: int = 0) -> np.ndarray:
        return corruptions.corrupt(items, name, severity, seed)

    def disturbances(self, shape: Shape) -> dict[str, Disturbance]:
        return disturb.disturbances(*shape[1:])

    def disturbed(self, one: np.ndarray, each: Sequence[Mapping[str, float]]) -> np.ndarray:
        return np.stack([disturb.disturbed(one[0], dict(strengths)) for strengths in each])


KIND = Pictures()
