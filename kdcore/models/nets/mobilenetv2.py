"""MobileNetV2 for small images."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from kdcore.models.nets.layers import classifier, he, unit

# Of each tap: groups of blocks as (filters, blocks, stride of the first). Only the first group is not expanded.
STAGES = (((16, 1, 1), (24, 2, 1)), ((32, 3, 2),), ((64, 4, 2), (96, 3, 1)), ((160, 3, 2), (320, 1, 1)))
STEM, LAST = 32, 1280


class Block(nn.Module):
    """Inverted residual: 1x1 to `expansion` times the channels, 3x3 channel by channel, 1x1 without a ReLU after it."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int):
        super().__init__()
        inner = inputs * expansion
        self.expand = nn.Sequential(unit(inputs, inner))
        self.depthwise = nn.Sequential(unit(inner, inner, 3, stride, groups=inner))
        self.project = nn.Sequential(unit(inner, outputs, relu=False))
        self.residual = stride == 1 and inputs == outputs

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        inner = self.project(self.depthwise(self.expand(features)))
        return features + inner if self.residual else inner


def mobilenetv2(width: float, expansion: int, classes: int, channels: int, normalize: nn.Module) -> nn.Module:
    """A 3x3 convolution with stride 2, seventeen blocks, a 1x1 convolution to 1280 filters (or more), linear.

    As in RepDistiller and mdistiller, which differ from the paper: ReLU, not ReLU6; the blocks of 24 filters keep
    the image's size, so a 32x32 image ends at 2x2; filters are `width` times the paper's, rounded down, not to
    a multiple of 8; the first block has its 1x1 convolution too; no dropout. Unlike theirs, the classifier's first
    weights are PyTorch's own: they draw from a normal distribution with deviation 0.01, with biases of 0.
    """
    inputs = max(1, int(STEM * width))
    children: OrderedDict[str, nn.Module] = OrderedDict(
        normalize=normalize, stem=nn.Sequential(unit(channels, inputs, 3, 2))
    )
    for index, groups in enumerate(STAGES):
        blocks: list[nn.Module] = []
        for filters, count, first in groups:
            outputs = max(1, int(filters * width))
            for number in range(count):
                stride = 1 if number else first
                blocks.append(Block(inputs, outputs, stride, expansion if filters != STAGES[0][0][0] else 1))
                inputs = outputs
        children[f"stage{index + 1}"] = nn.Sequential(*blocks)
    last = max(LAST, int(LAST * width))
    children["last"] = nn.Sequential(unit(inputs, last))
    return he(nn.Sequential(children | classifier(last, classes)))
