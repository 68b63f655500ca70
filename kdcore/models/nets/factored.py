"""Layers as products of smaller ones (low rank), which the names of their tensors tell apart.

A linear layer or convolution at "stem.conv" becomes a sequence of ordinary layers: "stem.conv.basis" and
"stem.conv.mix", for example. The last has the bias; together they have the layer's stride, padding and dilation.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import nn

PARTS = {
    "channel": ("basis", "mix"),  # a narrower layer of the same kernel, then a linear layer or 1x1 convolution
    "spatial": ("column", "row"),  # kernels kh x 1, then 1 x kw
    "tucker": ("squeeze", "core", "expand"),  # 1x1, a narrower convolution of the same kernel, 1x1
}


def splittable(module: nn.Module) -> bool:
    """Whether a layer can be split: plain linear layers, and convolutions of one group with zeros around."""
    if type(module) is nn.Linear:
        return True
    return (
        type(module) is nn.Conv2d
        and module.groups == 1
        and module.padding_mode == "zeros"
        and not isinstance(module.padding, str)
    )


def split(module: Any, kind: str, ranks: Sequence[int]) -> nn.Sequential:
    """Fresh layers to stand in place of `module`, on its device; the last has a bias where it has one.

    `ranks`: what passes between the layers, first to last: one number of channels, or two ("tucker").
    """
    sizes = [_inputs(module), *ranks, len(module.weight)]
    names = PARTS[kind]
    with torch.device(module.weight.device):
        layers = [
            _layer(module, kind, name, before, after, bias=module.bias is not None and name == names[-1])
            for name, (before, after) in zip(names, pairwise(sizes), strict=True)
        ]
    return nn.Sequential(OrderedDict(zip(names, layers, strict=True))).train(module.training)


def _inputs(module: Any) -> int:
    return module.in_features if isinstance(module, nn.Linear) else module.in_channels


def _layer(module: Any, kind: str, name: str, before: int, after: int, bias: bool) -> nn.Module:
    if isinstance(module, nn.Linear):
        return nn.Linear(before, after, bias=bias)
    if name in ("mix", "squeeze", "expand"):
        return nn.Conv2d(before, after, 1, bias=bias)
    settings: Any = (module.kernel_size, module.stride, module.padding, module.dilation)
    if kind == "spatial":  # one direction of the kernel and of all that goes with it; the other is left alone
        both = zip(settings, (1, 1, 0, 1), strict=True)
        settings = tuple((one[0], idle) if name == "column" else (idle, one[1]) for one, idle in both)
    kernel, stride, padding, dilation = settings
    return nn.Conv2d(before, after, kernel, stride, padding, dilation, bias=bias)


def replace(network: nn.Module, path: str, module: nn.Module) -> None:
    """Puts `module` where the network has another one."""
    parent, _, name = path.rpartition(".")
    setattr(network.get_submodule(parent), name, module)


def as_saved(network: nn.Module, tensors: Mapping[str, torch.Tensor]) -> None:
    """Splits the layers that are split in a state dict, at rank 1: `resize.load` then gives them their sizes.

    What was split twice is split twice.
    """
    there = {name.removesuffix(".weight") for name in tensors if name.endswith(".weight")}
    parents = {path.rpartition(".")[0] for path in there}
    waiting = [(path, module) for path, module in network.named_modules() if path and splittable(module)]
    while waiting:
        path, module = waiting.pop()
        if path in there:
            continue
        for kind, names in PARTS.items():
            children = [f"{path}.{name}" for name in names]
            if all(child in there or child in parents for child in children):
                parts = split(module, kind, [1] * (len(names) - 1))
                replace(network, path, parts)
                waiting += zip(children, parts, strict=True)
                break
