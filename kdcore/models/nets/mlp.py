"""A multilayer perceptron."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence

from torch import nn


def mlp(widths: Sequence[int], classes: int, shape: tuple[int, int, int], normalize: nn.Module) -> nn.Sequential:
    """All pixels of an image (C, H, W) through linear layers of `widths` neurons, each with a ReLU; linear."""
    layers: OrderedDict[str, nn.Module] = OrderedDict(normalize=normalize, flatten=nn.Flatten())
    inputs = math.prod(shape)
    for index, width in enumerate(widths):
        name = f"stage{index}" if index else "stem"
        layers[name] = nn.Sequential(OrderedDict(linear=nn.Linear(inputs, width), relu=nn.ReLU(inplace=True)))
        inputs = width
    layers["head"] = nn.Linear(inputs, classes)
    return nn.Sequential(layers)
