"""A linear map from one network's features to another's, at each place."""

from __future__ import annotations

from torch import nn


def regressor(inputs: int, outputs: int, maps: bool) -> nn.Module:
    """From `inputs` to `outputs` channels: a 1x1 convolution for maps (B, C, H, W), a linear layer for vectors."""
    return nn.Conv2d(inputs, outputs, 1) if maps else nn.Linear(inputs, outputs)
