"""ShuffleNet V2 for small images."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from kdcore.models.nets.layers import classifier, he, shuffle, unit

STEM = 24
FILTERS = {
    "x0.5": (48, 96, 192, 1024),
    "x1": (116, 232, 464, 1024),
    "x1.5": (176, 352, 704, 1024),
    "x2": (244, 488, 976, 2048),
}
BLOCKS = (4, 8, 4)


class Block(nn.Module):
    """Half of the channels pass as they are, the others go through 1x1, 3x3 channel by channel, 1x1; then a shuffle."""

    def __init__(self, channels: int):
        super().__init__()
        self.branch = _branch(channels // 2, channels // 2, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        passing, changing = features.chunk(2, 1)
        return shuffle(torch.cat([passing, self.branch(changing)], 1), 2)


class Down(nn.Module):
    """Halves the image: two branches over all channels, each with half of the new ones; then a shuffle."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.beside = nn.Sequential(
            OrderedDict(
                depthwise=nn.Sequential(unit(inputs, inputs, 3, 2, groups=inputs, relu=False)),
                pointwise=nn.Sequential(unit(inputs, outputs // 2)),
            )
        )
        self.branch = _branch(inputs, outputs // 2, 2)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return shuffle(torch.cat([self.beside(features), self.branch(features)], 1), 2)


def _branch(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            enter=nn.Sequential(unit(inputs, outputs)),
            depthwise=nn.Sequential(unit(outputs, outputs, 3, stride, groups=outputs, relu=False)),
            leave=nn.Sequential(unit(outputs, outputs)),
        )
    )


def shufflenetv2(size: str, classes: int, channels: int, normalize: nn.Module) -> nn.Module:
    """A 1x1 convolution of 24 filters, three stages of 4, 8 and 4 blocks that each halve the image, 1x1, linear.

    As in RepDistiller and mdistiller, which differ from the paper in the stem: 1x1 with stride 1, and no max-pool
    after it. Their "2" has 224 filters in the first stage; the paper's (version 2) and torchvision's have 244,
    as here. Unlike theirs, whose first weights are PyTorch's own, this begins with He's initialisation.
    """
    *stages, last = FILTERS[size]
    children: OrderedDict[str, nn.Module] = OrderedDict(normalize=normalize, stem=nn.Sequential(unit(channels, STEM)))
    inputs = STEM
    for index, (filters, count) in enumerate(zip(stages, BLOCKS, strict=True)):
        children[f"stage{index + 1}"] = nn.Sequential(
            Down(inputs, filters), *(Block(filters) for _ in range(count - 1))
        )
        inputs = filters
    children["last"] = nn.Sequential(unit(inputs, last))
    return he(nn.Sequential(children | classifier(last, classes)))
