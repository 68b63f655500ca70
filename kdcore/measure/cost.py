"""What a network costs to keep and to run, independent of any machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from kdcore.inputs import Shape
from kdcore.models import cost as counting


def cost(network: nn.Module, shape: Shape, layers: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """`params` and `macs` (conv + linear + matmul, one image (C, H, W)) of the network, and of the file's `layers`
    `sparsity`, the share of zeros among their weights; `nonzero_params` are the parameters without these zeros."""
    params = sum(parameter.numel() for parameter in network.parameters())
    return _counted(params, counting.macs(network, shape), layers)


def cost_of_file(parent: Mapping[str, Any], layers: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The same of a file without a network, made from one that costs `parent`: neither layers nor nodes are removed."""
    return _counted(parent["params"], parent["macs"], layers)


def _counted(params: int, macs: int | None, layers: Sequence[dict[str, Any]]) -> dict[str, Any]:
    zeros = sum(layer["zeros"] for layer in layers)
    weights = sum(layer["weights"] for layer in layers)
    return {
        "params": params,
        "nonzero_params": params - zeros,
        "sparsity": zeros / weights if weights else 0.0,
        "macs": macs,
    }
