"""A small convolutional network."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn


def cnn(width: int, classes: int, channels: int, normalize: nn.Module) -> nn.Sequential:
    """3x3 convolutions of `width`, `width` and, after a 2x2 max-pool, `2 * width` filters; average pool; linear."""
    return nn.Sequential(
        OrderedDict(
            normalize=normalize,
            stem=nn.Sequential(_convolution(channels, width)),
            stage1=nn.Sequential(_convolution(width, width)),
            stage2=nn.Sequential(OrderedDict(pool=nn.MaxPool2d(2)) | _convolution(width, 2 * width)),
            pool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            head=nn.Linear(2 * width, classes),
        )
    )


def _convolution(inputs: int, outputs: int) -> OrderedDict[str, nn.Module]:
    return OrderedDict(
        conv=nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        norm=nn.BatchNorm2d(outputs),
        relu=nn.ReLU(inplace=True),
    )
