"""Wide residual networks."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from kdcore.models.nets.layers import classifier, he


class Block(nn.Module):
    """Two 3x3 convolutions, each after batch norm and ReLU, beside a shortcut.

    Where the number of filters changes, the shortcut is a 1x1 convolution of the first activation, else nothing.
    """

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False) if inputs != outputs else None

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        active = self.relu(self.norm1(features))
        beside = features if self.shortcut is None else self.shortcut(active)
        return self.conv2(self.relu(self.norm2(self.conv1(active)))) + beside


def wrn(depth: int, width: int, classes: int, channels: int, normalize: nn.Module) -> nn.Module:
    """`depth` = 6n + 4 layers: a 3x3 convolution of 16 filters, three stages of n blocks, batch norm, linear.

    The stages have 16, 32 and 64 times `width` filters; the second and third halve the image. With `width` 1 the
    first stage keeps the stem's filters, so its shortcut is nothing. As in RepDistiller, but that the classifier's
    biases begin at 0 there.
    """
    children: OrderedDict[str, nn.Module] = OrderedDict(
        normalize=normalize,
        stem=nn.Sequential(OrderedDict(conv=nn.Conv2d(channels, 16, 3, padding=1, bias=False))),
    )
    inputs = 16
    for index, filters in enumerate((16 * width, 32 * width, 64 * width)):
        blocks = [Block(inputs, filters, 2 if index else 1)]
        blocks += [Block(filters, filters, 1) for _ in range((depth - 4) // 6 - 1)]
        children[f"stage{index + 1}"] = nn.Sequential(*blocks)
        inputs = filters
    children |= OrderedDict(norm=nn.BatchNorm2d(inputs), relu=nn.ReLU(inplace=True))
    return he(nn.Sequential(children | classifier(inputs, classes)))
