"""Random views of a batch, on the batch's device, without a loop over its images."""

from __future__ import annotations

import numpy as np

from kdcore.lazy import functional, torch
from kdcore.recipe import Views


def apply(
    images: torch.Tensor, targets: torch.Tensor, views: Views, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """The batch as the student and the teacher see it this time: flip, crop, shift, then mixup.

    `images`: float (B, C, H, W) in [0, 1]. `targets`: float (B, K), rows that sum to 1, or to 0 where an
    image has no label. Returns both in the same shapes; the input is not changed. All randomness comes from
    `generator`, which lives on the CPU, so every device sees the same views.
    """
    if views.flip:
        images = _flip(images, generator)
    if views.crop:
        images = _crop(images, views.crop, generator)
    if views.shift:
        pad = (views.shift,) * 4
        images = _cut(functional.pad(images, pad), images.shape, generator)
    if views.mixup:
        images, targets = _mixup(images, targets, views.mixup, generator)
    return images, targets


def _flip(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    chosen = torch.rand(len(images), 1, 1, 1, generator=generator) < 0.5
    return torch.where(chosen.to(images.device), images.flip(3), images)


def _crop(images: torch.Tensor, by: int, generator: torch.Generator) -> torch.Tensor:
    mode = "reflect" if by < min(images.shape[2:]) else "constant"  # a reflection needs that many pixels
    return _cut(functional.pad(images, (by,) * 4, mode=mode), images.shape, generator)


def _cut(padded: torch.Tensor, size: torch.Size, generator: torch.Generator) -> torch.Tensor:
    """One window of `size` (B, C, H, W) out of each padded image, at a random place."""
    windows = padded.unfold(2, size[2], 1).unfold(3, size[3], 1)
    places = torch.randint(windows.shape[2], (2, size[0]), generator=generator).to(padded.device)
    return windows[torch.arange(size[0], device=padded.device), :, places[0], places[1]]


def _mixup(
    images: torch.Tensor, targets: torch.Tensor, beta: float, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Blends each image with another one of the batch: `lambda * own + (1 - lambda) * other`, Beta(beta, beta)."""
    seed = int(torch.randint(2**62, (), generator=generator))
    share = np.random.default_rng(seed).beta(beta, beta, len(images)).astype(np.float32)
    own = torch.from_numpy(share).to(images.device)
    other = torch.randperm(len(images), generator=generator).to(images.device)
    return (
        torch.lerp(images.index_select(0, other), images, own.view(-1, 1, 1, 1)),
        torch.lerp(targets.index_select(0, other), targets, own.view(-1, 1)),
    )
