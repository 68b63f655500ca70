"""VGG for small images."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from kdcore.models.nets.layers import classifier, he, unit

FILTERS = (64, 128, 256, 512, 512)
CONVOLUTIONS = {8: (1, 1, 1, 1, 1), 11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
SMALLEST_MAP = 2  # pixels a side; on one pixel, a 3x3 convolution is a 1x1 that costs nine times as much
LAST_POOL_FROM = 64  # pixels a side of an image, as in RepDistiller


def vgg(depth: int, width: float, classes: int, shape: tuple[int, int, int], normalize: nn.Module) -> nn.Module:
    """Five groups of 3x3 convolutions (with biases) of 64 to 512 times `width` filters, batch norm; linear.

    As in RepDistiller and mdistiller: one linear layer instead of three, and a 2x2 max-pool before the second, third
    and fourth group; before the fifth in images from 64x64 up. Beyond them: a pool is left out where it would leave
    less than 2x2 pixels, so images of 8x8 are pooled twice. Unlike theirs, the classifier's first weights are PyTorch's
    own: they draw from a normal distribution with deviation 0.01, with biases of 0.
    """
    channels, *size = shape
    side, inputs = min(size), channels
    children: OrderedDict[str, nn.Module] = OrderedDict(normalize=normalize)
    for index, (filters, convolutions) in enumerate(zip(FILTERS, CONVOLUTIONS[depth], strict=True)):
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        if index and side // 2 >= SMALLEST_MAP and (index < 4 or min(size) >= LAST_POOL_FROM):
            layers["pool"] = nn.MaxPool2d(2)
            side //= 2
        for number in range(convolutions):
            outputs = max(1, int(filters * width))
            layers[f"unit{number + 1}"] = nn.Sequential(unit(inputs, outputs, 3, bias=True))
            inputs = outputs
        children[f"stage{index}" if index else "stem"] = nn.Sequential(layers)
    return he(nn.Sequential(children | classifier(inputs, classes)))
