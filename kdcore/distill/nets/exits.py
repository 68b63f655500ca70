"""Exits from a network's stages to its classes, in OFA-KD."""

from __future__ import annotations

from torch import nn


def exits(shapes: list[tuple[int, ...]], classes: int) -> nn.ModuleList:
    """One for each stage, first to last. `shapes`: of its features without the batch, (C, H, W) or (F,).

    Stages before the last are brought to the last one's channels and size by separable convolutions (vectors: by a
    linear layer); then average and linear layer.
    """
    last = shapes[-1]
    return nn.ModuleList(
        nn.Sequential(
            *([] if place == len(shapes) - 1 else _towards(shape, last)),
            *([nn.AdaptiveAvgPool2d(1), nn.Flatten()] if len(shape) == 3 else []),
            nn.Linear(last[0], classes),
        )
        for place, shape in enumerate(shapes)
    )


def _towards(shape: tuple[int, ...], last: tuple[int, ...]) -> list[nn.Module]:
    if len(shape) == 1:
        return [nn.Linear(shape[0], last[0], bias=False), nn.BatchNorm1d(last[0]), nn.ReLU(inplace=True)]
    channels, side = shape[0], min(shape[1:])
    target = min(last[1:]) if len(last) == 3 else 1
    layers = _separable(channels, last[0], 2 if side > target else 1)
    side = -(-side // 2)
    while side > target:
        layers += _separable(last[0], last[0], 2)
        side = -(-side // 2)
    return layers


def _separable(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
    """A 3x3 convolution of each channel by itself, a 1x1 convolution of all, batch norm, ReLU."""
    return [
        nn.Conv2d(inputs, inputs, 3, stride, padding=1, groups=inputs, bias=False),
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    ]
