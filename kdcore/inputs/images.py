"""The training images: on the device where they fit, else streamed from the disk, a batch ahead."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import psutil

from kdcore import inputs
from kdcore.inputs.kind import Held
from kdcore.lazy import torch

SHARE_OF_MEMORY = 0.3  # of what is free: a set that takes more stays on the disk
PORTION, PORTION_VALUES = 512, 2**23  # images in one forward pass without gradients (max)


class _Images(Held):
    """N images uint8 (N, C, H, W). `shape`: (C, H, W)."""

    shape: tuple[int, int, int]

    @property
    def kind(self) -> inputs.Kind:
        return inputs.named("pictures")

    @property
    def portion(self) -> int:
        return portion(self.shape)


class InMemoryImages(_Images):
    """Images in the device's memory: uint8 (N, C, H, W)."""

    def __init__(self, images: torch.Tensor):
        self.images, self.device = images, images.device
        self.shape = (images.shape[1], images.shape[2], images.shape[3])

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, indices: np.ndarray, following: np.ndarray | None = None) -> torch.Tensor:
        return self.images[torch.from_numpy(indices).to(self.device, non_blocking=True)]


class StreamedImages(_Images):
    """Images on the disk: `array` is a memory-mapped uint8 (M, H, W, C), `rows` (N,) those of its images that count."""

    def __init__(self, array: np.ndarray, rows: np.ndarray, device: torch.device):
        self.array, self.rows, self.device = array, rows, device
        height, width, channels = array.shape[1:]
        self.shape = (channels, height, width)
        self._reader = ThreadPoolExecutor(1, "images")
        self._ahead: tuple[bytes, Future[torch.Tensor]] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, indices: np.ndarray, following: np.ndarray | None = None) -> torch.Tensor:
        ahead, self._ahead = self._ahead, None
        read = ahead[1].result() if ahead and ahead[0] == indices.tobytes() else self._read(indices)
        if following is not None:
            self._ahead = following.tobytes(), self._reader.submit(self._read, following)
        return read.to(self.device, non_blocking=True)

    def _read(self, indices: np.ndarray) -> torch.Tensor:
        rows = self.rows[indices]
        order = np.argsort(rows, kind="stable")  # the disk likes to go one way
        part = np.empty((len(rows), *self.array.shape[1:]), self.array.dtype)
        part[order] = self.array[rows[order]]
        read = torch.from_numpy(part)
        return (read.pin_memory() if self.device.type == "cuda" else read).permute(0, 3, 1, 2)


def images(array: np.ndarray, rows: np.ndarray, device: torch.device) -> InMemoryImages | StreamedImages:
    """The images `rows` (N,) of uint8 (M, H, W, C): held on the device where they leave most of its memory free."""
    size = len(rows) * int(np.prod(array.shape[1:])) * array.itemsize
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
    if size > SHARE_OF_MEMORY * free:
        return StreamedImages(array, rows, device)
    return InMemoryImages(pixels(array[rows], device))


def portion(shape: Sequence[int]) -> int:
    """How many images (C, H, W) of `shape` fit into one forward pass, where their order does not matter."""
    return max(1, min(PORTION, PORTION_VALUES // int(np.prod(shape))))


def portions(images: torch.Tensor) -> Iterator[torch.Tensor]:
    """Images (N, C, H, W) in parts, as `unit` makes them, channels last."""
    for part in images.split(portion(images.shape[1:])):
        yield unit(part).contiguous(memory_format=torch.channels_last)


def unit(images: torch.Tensor) -> torch.Tensor:
    """What networks take, a copy: float32 in [0, 1] of pixels (uint8); floats keep their range."""
    made = images.to(torch.float32, copy=True)
    return made.div_(255) if images.dtype == torch.uint8 else made


def pixels(images: np.ndarray, device: torch.device | str = "cpu") -> torch.Tensor:
    """(N, H, W, C) as in data sets to (N, C, H, W) of the same type, on the device."""
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).to(device)


def feed(images: np.ndarray) -> np.ndarray:
    """Images (N, H, W, C) as in data sets to what models take: float32 (N, C, H, W), in [0, 1] where they are uint8."""
    given = np.ascontiguousarray(images.transpose(0, 3, 1, 2), dtype=np.float32)
    return given / 255 if images.dtype == np.uint8 else given
