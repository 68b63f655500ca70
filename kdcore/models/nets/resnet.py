"""The CIFAR ResNets of the distillation literature."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut: a 1x1 convolution where the size changes, else nothing."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            projection = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.shortcut = nn.Sequential(OrderedDict(conv=projection, norm=nn.BatchNorm2d(outputs)))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        inner = self.relu(self.norm1(self.conv1(features)))
        return self.relu(self.norm2(self.conv2(inner)) + self.shortcut(features))


def resnet(depth: int, width: int, classes: int, channels: int, normalize: nn.Module) -> nn.Sequential:
    """`depth` = 6n + 2 layers: a 3x3 convolution, three stages of n blocks, linear.

    The stages have 16, 32 and 64 times `width` filters; the second and third halve the image. As in RepDistiller
    and mdistiller: 1x1 convolutions in the shortcuts, He initialisation, and a stem of 16 filters
    that is only ever doubled (32 filters in their x4 networks).
    """
    stem = 16 * min(width, 2)
    children: OrderedDict[str, nn.Module] = OrderedDict(
        normalize=normalize,
        stem=nn.Sequential(
            OrderedDict(
                conv=nn.Conv2d(channels, stem, 3, padding=1, bias=False),
                norm=nn.BatchNorm2d(stem),
                relu=nn.ReLU(inplace=True),
            )
        ),
    )
    inputs = stem
    for index, filters in enumerate((16 * width, 32 * width, 64 * width)):
        blocks = [Block(inputs, filters, 2 if index else 1)]
        blocks += [Block(filters, filters, 1) for _ in range((depth - 2) // 6 - 1)]
        children[f"stage{index + 1}"] = nn.Sequential(*blocks)
        inputs = filters
    children |= OrderedDict(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), head=nn.Linear(inputs, classes))
    network = nn.Sequential(children)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return network
