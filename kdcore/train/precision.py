"""The arithmetic of training."""

from __future__ import annotations

import copy

import torch
from torch import nn

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The context in which networks compute: bf16 or fp16 where asked for, else fp32."""
    return torch.autocast(device.type, DTYPES.get(precision, torch.bfloat16), enabled=precision in DTYPES)


def frozen(network: nn.Module, precision: str) -> nn.Module:
    """A copy of a network that only answers, whose large weights are in `precision` already.

    Autocast would turn them at every call; the answers are the same, to the bit.
    """
    if precision not in DTYPES:
        return network
    made = copy.deepcopy(network)
    for module in made.modules():
        if type(module) in (nn.Conv2d, nn.Linear):
            module.to(DTYPES[precision])
    return made
