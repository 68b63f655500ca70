"""Several networks asked as one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


class Mean(nn.Module):
    """The weighted mean of the logits (B, K) of several networks; `weights` sum to 1."""

    def __init__(self, networks: Sequence[nn.Module], weights: Sequence[float]):
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.weights = tuple(weights)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits = [weight * network(images) for weight, network in zip(self.weights, self.networks, strict=True)]
        return torch.stack(logits).sum(0)
