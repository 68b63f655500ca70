"""A projector before a network's pooling, and a classifier to match: the part that SimKD adds to its students."""

from __future__ import annotations

import copy
from collections import OrderedDict
from typing import Any

import torch
from torch import nn

TAIL = ("pool", "flatten", "head")
SIDE = 128  # pixels of an image by which the networks' maps are compared


def between(student: nn.Module, teacher: nn.Module, reduction: int) -> nn.Sequential:
    """The student with a projector, `reduction` times narrower inside than the teacher, and a head for the latter's
    features. Where the student's maps are larger, they are averaged down to the teacher's before the projector.

    Raises ValueError as `check` does for either network.
    """
    check(student)
    borrowed = check(teacher)
    smaller = max(1, _side(student, without=("last",)) // _side(teacher))
    return insert(
        student, width(borrowed.in_features, reduction), borrowed.in_features, borrowed.out_features, smaller=smaller
    )


def insert(
    network: nn.Module, hidden: int, features: int, classes: int, *, smaller: int = 1, last: bool = False
) -> nn.Sequential:
    """`network` with a new child `projector` before its pooling, and a new head. Its other children stay the same.

    The projector, a 1x1, a 3x3 and a 1x1 convolution with batch norm and ReLU, turns the last stage's channels into
    `features`, through `hidden`, at a size `smaller` times smaller. A child `last`, the 1x1 convolution after the
    stages of mobile networks, is kept with `last` alone. Raises ValueError for networks other than maps, average,
    linear classifier.
    """
    inputs = check(network).in_features
    children: OrderedDict[str, nn.Module] = OrderedDict()
    for name, child in network.named_children():
        if name == "last" and not last:
            inputs = _channels(child)
            continue
        if name == "pool":
            children["projector"] = _projector(inputs, hidden, features, smaller)
        children[name] = nn.Linear(features, classes) if name == "head" else child
    return nn.Sequential(children)


def width(features: int, reduction: int) -> int:
    """How wide the projector is inside, between the student and a teacher of `features` channels."""
    return max(1, features // reduction)


def _side(network: nn.Module, without: tuple[str, ...] = ()) -> int:
    """Height of the maps that are averaged at the end, for an image of 128 pixels; nothing is computed for it."""
    children: Any = copy.deepcopy(network).to("meta").eval()
    maps = torch.zeros(1, len(children.normalize.mean), SIDE, SIDE, device="meta")
    for name, child in children.named_children():
        if name == "pool":
            break
        maps = maps if name in without else child(maps)
    return maps.shape[2]


def _channels(module: nn.Module) -> int:
    """What the first convolution of a module takes."""
    return next(layer.in_channels for layer in module.modules() if isinstance(layer, nn.Conv2d))


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
    """What a network's projector was made with, for `insert`: `hidden`, `features` and perhaps `smaller`."""
    projector: Any = network.get_submodule("projector")
    found = {"hidden": projector.conv1.out_channels, "features": projector.conv3.out_channels}
    return found | ({"smaller": projector.shrink.kernel_size} if hasattr(projector, "shrink") else {})


def _projector(inputs: int, hidden: int, outputs: int, smaller: int) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    if smaller > 1:
        layers["shrink"] = nn.AvgPool2d(smaller, ceil_mode=True)
    sizes = [(inputs, hidden, 1), (hidden, hidden, 3), (hidden, outputs, 1)]
    for place, (before, after, side) in enumerate(sizes, start=1):
        layers[f"conv{place}"] = nn.Conv2d(before, after, side, padding=side // 2, bias=False)
        layers[f"norm{place}"] = nn.BatchNorm2d(after)
        layers[f"relu{place}"] = nn.ReLU(inplace=True)
    return nn.Sequential(layers)
