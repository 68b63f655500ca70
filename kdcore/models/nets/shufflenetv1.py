"""ShuffleNet (version 1) for small images."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from kdcore.models.nets.layers import classifier, he, shuffle, unit

STEM = 24
FILTERS = {1: (144, 288, 576), 2: (200, 400, 800), 3: (240, 480, 960)}  # by groups: table 1 of the paper
BLOCKS = (4, 8, 4)


class Block(nn.Module):
    """Grouped 1x1, channel shuffle, 3x3 channel by channel, grouped 1x1; a shortcut beside.

    With stride 2 the shortcut is a 3x3 average pool, whose channels are put beside the new ones; else they are added.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, groups: int):
        super().__init__()
        new = outputs - inputs if stride == 2 else outputs
        inner = new // 4
        self.groups = 1 if inputs == STEM else groups  # the stem has too few channels to be split
        self.reduce = nn.Sequential(unit(inputs, inner, groups=self.groups))
        self.depthwise = nn.Sequential(unit(inner, inner, 3, stride, groups=inner))
        self.expand = nn.Sequential(unit(inner, new, groups=groups, relu=False))
        self.shortcut = nn.AvgPool2d(3, 2, padding=1) if stride == 2 else None
        self.relu = nn.ReLU(inplace=True)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        inner = self.expand(self.depthwise(shuffle(self.reduce(features), self.groups)))
        if self.shortcut is None:
            return self.relu(inner + features)
        return self.relu(torch.cat([inner, self.shortcut(features)], 1))


def shufflenetv1(groups: int, classes: int, channels: int, normalize: nn.Module) -> nn.Module:
    """A 1x1 convolution of 24 filters, three stages of 4, 8 and 4 blocks that each halve the image, linear.

    As in RepDistiller and mdistiller, which differ from the paper: the stem is 1x1 with stride 1 and no max-pool
    follows it, and there is a ReLU after the 3x3 convolutions. Unlike theirs, whose first weights are PyTorch's own,
    this begins with He's initialisation.
    """
    children: OrderedDict[str, nn.Module] = OrderedDict(normalize=normalize, stem=nn.Sequential(unit(channels, STEM)))
    inputs = STEM
    for index, (filters, count) in enumerate(zip(FILTERS[groups], BLOCKS, strict=True)):
        blocks = [Block(inputs, filters, 2, groups)]
        blocks += [Block(filters, filters, 1, groups) for _ in range(count - 1)]
        children[f"stage{index + 1}"] = nn.Sequential(*blocks)
        inputs = filters
    return he(nn.Sequential(children | classifier(inputs, classes)))
