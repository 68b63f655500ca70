"""A small causal transformer (Radford et al. 2019, GPT-2's order of layers) for token ids, without dropout."""

from __future__ import annotations

import torch
from torch import nn

from kdcore.models.nets.attention import draw_weights
from kdcore.models.nets.text_encoder import FAR, Block, Tokens


class EachToken(nn.Module):
    """Layer norm of every token (B, L, dim), one row after the other: (B * L, dim)."""

    def __init__(self, dim: int):
        super().__init__()
        self.norm = nn.LayerNorm(dim)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.norm(tokens).flatten(0, 1)


class TextDecoder(nn.Module):
    """`depth` blocks, each a stage, and a linear layer: ids (B, L) to the logits (B * L, classes) of what follows each
    token, row by row. Weights are drawn from a normal distribution with standard deviation 0.02."""

    def __init__(
        self, depth: int, dim: int, heads: int, classes: int, vocabulary: int, longest: int, normalize: nn.Module
    ):
        super().__init__()
        self.normalize = normalize
        self.stem = Tokens(vocabulary, longest, dim)
        self.stages = [f"stage{index + 1}" for index in range(depth)]
        for name in self.stages:
            self.add_module(name, Block(dim, heads))
        self.pool = EachToken(dim)
        self.head = nn.Linear(dim, classes)
        draw_weights(self)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        tokens = self.stem(self.normalize(ids))
        places = torch.ones_like(ids[:1]).cumsum(1)  # a token looks at itself and those before it
        mask = (places[:, None, None, :] > places[:, None, :, None]).to(tokens.dtype) * FAR
        for name in self.stages:
            tokens = self.get_submodule(name)(tokens, mask)
        return self.head(self.pool(tokens))
