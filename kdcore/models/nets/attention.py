"""What the transformers for images and for texts are built from; how tokens attend to each other is theirs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

import torch
from torch import nn


class Heads(nn.Module):
    """The linear layers of an attention in several heads."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.parts = (heads, -1)  # heads and their width, of which the tensors' sizes say the other
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)
        self.out = nn.Linear(dim, dim)

    def split(self, tokens: torch.Tensor) -> Iterator[torch.Tensor]:
        """Query, key and value of tokens (B, N, dim), each (B, heads, N, dim / heads)."""
        return (layer(tokens).unflatten(2, self.parts).transpose(1, 2) for layer in (self.query, self.key, self.value))


class PreNorm(nn.Module):
    """The layers of a block: attention and two linear layers, each after layer norm."""

    def __init__(self, dim: int, attention: nn.Module):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attention = attention
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(
            OrderedDict(linear1=nn.Linear(dim, 4 * dim), gelu=nn.GELU(), linear2=nn.Linear(4 * dim, dim))
        )


def draw_weights(network: nn.Module) -> None:
    """Draws a text network's weights from a normal distribution with standard deviation 0.02; biases are zero."""
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
