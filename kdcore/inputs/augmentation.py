"""Random views of a batch, on the batch's device, without a loop over its images."""

from __future__ import annotations

import numpy as np

from kdcore.lazy import functional, torch
from kdcore.recipe import Augmentation


def apply(
    images: torch.Tensor, targets: torch.Tensor, views: Augmentation, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """The batch as the student and the teacher see it this time: flip, crop, shift, then mixup or cutmix.

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
    if views.mixup and views.cutmix:
        mixes = torch.rand((), generator=generator).item() < 0.5
        return _mixup(images, targets, views.mixup, generator) if mixes else _cutmix(images, targets, views, generator)
    if views.mixup:
        return _mixup(images, targets, views.mixup, generator)
    if views.cutmix:
        return _cutmix(images, targets, views, generator)
    return images, targets


def random(views: Augmentation) -> bool:
    """Whether an image looks different each time; where it does not, what a teacher says of it can be kept."""
    return views != Augmentation()


def _flip(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    chosen = torch.rand(len(images), 1, 1, 1, generator=generator) < 0.5
    return torch.where(chosen.to(images.device, non_blocking=True), images.flip(3), images)


def _crop(images: torch.Tensor, by: int, generator: torch.Generator) -> torch.Tensor:
    mode = "reflect" if by < min(images.shape[2:]) else "constant"  # a reflection needs that many pixels
    return _cut(functional.pad(images, (by,) * 4, mode=mode), images.shape, generator)


def _cut(padded: torch.Tensor, size: torch.Size, generator: torch.Generator) -> torch.Tensor:
    """One window of `size` (B, C, H, W) out of each padded image, at a random place."""
    windows = padded.unfold(2, size[2], 1).unfold(3, size[3], 1)
    places = torch.randint(windows.shape[2], (2, size[0]), generator=generator).to(padded.device, non_blocking=True)
    return windows[torch.arange(size[0], device=padded.device), :, places[0], places[1]]


def _mixup(
    images: torch.Tensor, targets: torch.Tensor, beta: float, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Blends each image with another one of the batch: `lambda * own + (1 - lambda) * other`, Beta(beta, beta)."""
    seed = int(torch.randint(2**62, (), generator=generator))
    share = np.random.default_rng(seed).beta(beta, beta, len(images)).astype(np.float32)
    own = torch.from_numpy(share).to(images.device, non_blocking=True)
    other = torch.randperm(len(images), generator=generator).to(images.device, non_blocking=True)
    return (
        torch.lerp(images.index_select(0, other), images, own.view(-1, 1, 1, 1)),
        torch.lerp(targets.index_select(0, other), targets, own.view(-1, 1)),
    )


def _cutmix(
    images: torch.Tensor, targets: torch.Tensor, views: Augmentation, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Pastes one rectangle, the same for the batch, of another image of the batch; labels follow the areas.

    The rectangle's share of the image is drawn from Beta(cutmix, cutmix), its place uniformly (Yun et al. 2019).
    """
    height, width = images.shape[2:]
    chance = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
    side = np.sqrt(1 - chance.beta(views.cutmix, views.cutmix))
    rows, columns = (_span(size, side * size, int(chance.integers(size))) for size in (height, width))
    other = torch.randperm(len(images), generator=generator).to(images.device, non_blocking=True)
    mixed = images.clone()
    mixed[:, :, slice(*rows), slice(*columns)] = images[other][:, :, slice(*rows), slice(*columns)]
    pasted = (rows[1] - rows[0]) * (columns[1] - columns[0]) / (height * width)
    return mixed, torch.lerp(targets, targets[other], pasted)


def _span(size: int, length: float, centre: int) -> tuple[int, int]:
    """First and last (excluded) pixel of a stretch around `centre`, cut at the image's edges."""
    return max(0, int(centre - length / 2)), min(size, int(centre + length / 2))
