"""Layers with one and the same weight."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn


def tie(network: nn.Module, names: list[str]) -> None:
    """Gives the layers of these names, all of one shape, the first one's weight: one parameter in several places."""
    layers: list[Any] = [network.get_submodule(name) for name in names]
    for layer in layers[1:]:
        layer.weight = layers[0].weight


def as_saved(network: nn.Module, tensors: Mapping[str, torch.Tensor]) -> None:
    """Ties the layers whose weights are the same tensor in a state dict that the network has already loaded."""
    places: dict[tuple[int, torch.Size], list[str]] = {}
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear | nn.Embedding) and module.weight.numel():
            saved = tensors[f"{name}.weight" if name else "weight"]
            places.setdefault((saved.data_ptr(), saved.shape), []).append(name)
    for names in places.values():
        if len(names) > 1:
            tie(network, names)
