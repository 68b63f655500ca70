"""How networks want their pixels: the usual ranges, means and standard deviations, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

Pixels = Literal["0..1", "0..255", "-1..1", "normalised", "imagenet", "cifar10", "cifar100", "mnist", "clip"]
RANGES = {"0..1": 1.0, "0..255": 255.0}  # for which a mean and a standard deviation can be given in numbers


class Normalisation(NamedTuple):
    """What is subtracted from pixels in 0..1, and what they are divided by then; one number a channel."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def of(self, images: np.ndarray) -> np.ndarray:
        """uint8 (N, H, W, C) as in data sets to float32 (N, C, H, W); one channel is repeated for several numbers."""
        mean, std = (np.array(part, np.float32).reshape(1, -1, 1, 1) for part in self)
        normalised: np.ndarray = (images.transpose(0, 3, 1, 2).astype(np.float32) / 255 - mean) / std
        return np.ascontiguousarray(normalised)


USUAL: Mapping[str, Normalisation] = {
    "imagenet": Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "0..1": Normalisation((0.0,), (1.0,)),
    "0..255": Normalisation((0.0,), (1 / 255,)),
    "-1..1": Normalisation((0.5,), (0.5,)),
    "cifar10": Normalisation((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    "cifar100": Normalisation((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)),
    "mnist": Normalisation((0.1307,), (0.3081,)),
    "clip": Normalisation((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
}


def usual(channels: int) -> dict[str, Normalisation]:
    """Those of USUAL for so many channels: one number is repeated; for one channel the mean of several is taken."""
    return {
        name: Normalisation(*(_spread(part, channels) for part in one))
        for name, one in USUAL.items()
        if channels in (1, len(one.mean)) or len(one.mean) == 1
    }


def given(pixels: str, mean: Sequence[float], std: Sequence[float], channels: int) -> Normalisation:
    """A person's own numbers, in the range that `pixels` names, one of RANGES. Raises ValueError."""
    if pixels not in RANGES:
        raise ValueError(f"mean and std contradict pixels={pixels}; with numbers it must be {' or '.join(RANGES)}")
    for name, part in (("mean", mean), ("std", std)):
        if len(part) not in (1, channels):
            raise ValueError(f"{name} has {len(part)} numbers; the network expects {channels} channels")
    scaled = ([number / RANGES[pixels] for number in part] for part in (mean, std))
    return Normalisation(*(_spread(part, channels) for part in scaled))


def _spread(part: Sequence[float], channels: int) -> tuple[float, ...]:
    if len(part) == channels:
        return tuple(part)
    return (sum(part) / len(part),) * channels
