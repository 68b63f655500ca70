"""A projector before a network's pooling, and a classifier to match: the part that SimKD adds to its students."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from torch import nn

TAIL = ("pool", "flatten", "head")


def insert(network: nn.Module, hidden: int, features: int, classes: int) -> nn.Sequential:
    """`network` with a new child `projector` before its pooling, and a new head. Its other children stay the same.

    The projector, a 1x1, a 3x3 and a 1x1 convolution with batch norm and ReLU, turns the last stage's channels into
    `features`, through `hidden`. Raises ValueError for networks other than maps, average, linear classifier.
    """
    inputs = check(network).in_features
    children: OrderedDict[str, nn.Module] = OrderedDict()
    for name, child in network.named_children():
        if name == "pool":
            children["projector"] = _projector(inputs, hidden, features)
        children[name] = nn.Linear(features, classes) if name == "head" else child
    return nn.Sequential(children)


def width(features: int, reduction: int) -> int:
    """How wide the projector is inside, between the student and a teacher of `features` channels."""
    return max(1, features // reduction)


def check(network: nn.Module) -> nn.Linear:
    """The classifier of a network that ends in its last stage's maps, their average and one linear layer.

    Raises ValueError, which says what is there instead.
    """
    children = {name: child for name, child in network.named_children() if not _is_dropout(child)}
    if not isinstance(network, nn.Sequential) or tuple(children)[-3:] != TAIL:
        raise ValueError("it does not end in feature maps, their average and a classifier")
    pool, head = children["pool"], children["head"]
    if not isinstance(pool, nn.AdaptiveAvgPool2d) or pool.output_size not in (1, (1, 1)):
        raise ValueError("it does not average its last feature maps over all places")
    if not isinstance(head, nn.Linear):
        raise ValueError("its classifier is not a single linear layer after feature maps and their average")
    return head


def _is_dropout(module: nn.Module) -> bool:
    return all(isinstance(part, nn.Dropout | nn.Sequential) for part in module.modules())


def description(network: nn.Module) -> dict[str, Any]:
    """`hidden` and `features` of a network's projector, for `insert`."""
    projector: Any = network.get_submodule("projector")
    return {"hidden": projector.conv1.out_channels, "features": projector.conv3.out_channels}


def _projector(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    sizes = [(inputs, hidden, 1), (hidden, hidden, 3), (hidden, outputs, 1)]
    for place, (before, after, side) in enumerate(sizes, start=1):
        layers[f"conv{place}"] = nn.Conv2d(before, after, side, padding=side // 2, bias=False)
        layers[f"norm{place}"] = nn.BatchNorm2d(after)
        layers[f"relu{place}"] = nn.ReLU(inplace=True)
    return nn.Sequential(layers)
