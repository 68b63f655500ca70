"""A small transformer encoder (Vaswani et al. 2017) for token ids, pre-norm, without dropout."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from kdcore.inputs.ids import PADDING
from kdcore.models.nets.attention import Heads, PreNorm, draw_weights

FAR = -1e4  # added to the score of padding: nothing of it is left, also in half precision


class Tokens(nn.Module):
    """The sum of what a token and its place are embedded as: ids (B, L) to (B, L, dim)."""

    def __init__(self, vocabulary: int, longest: int, dim: int):
        super().__init__()
        self.token = nn.Embedding(vocabulary, dim)
        self.position = nn.Embedding(longest, dim)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        places = torch.ones_like(ids).cumsum(1) - 1  # of any length, also in an exported file
        return self.token(ids) + self.position(places)


class Attention(Heads):
    """Every token (B, L, dim) looks at others, in several heads of `width`.

    `mask` (B or 1, 1, 1 or L, L): 0 where a token may look at another, FAR where it may not, as at padding.

    There are as many heads as the layers have rows for: pruning removes whole ones.
    """

    def __init__(self, dim: int, heads: int):
        super().__init__(dim, heads)
        self.width = dim // heads
        self.parts = (-1, self.width)
        self.scale = self.width**-0.5

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        query, key, value = self.split(tokens)
        scores = query @ key.transpose(2, 3) * self.scale + mask
        return self.out((functional.softmax(scores, dim=3) @ value).transpose(1, 2).flatten(2))


class Block(PreNorm):
    """Attention and two linear layers, each after layer norm and beside a shortcut (pre-norm)."""

    def __init__(self, dim: int, heads: int):
        super().__init__(dim, Attention(dim, heads))

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        tokens = tokens + self.attention(self.norm1(tokens), mask)
        return tokens + self.mlp(self.norm2(tokens))


class MeanOfTokens(nn.Module):
    """Layer norm of every token (B, L, dim), and the mean (B, dim) over those that are no padding."""

    def __init__(self, dim: int):
        super().__init__()
        self.norm = nn.LayerNorm(dim)

    def forward(self, tokens: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        return self.summary(self.norm(tokens), known)

    @staticmethod
    def summary(tokens: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        """What stands for a whole text, (B, dim), of tokens (B, L, dim). `known` (B, L): 1, and 0 for padding."""
        return (tokens * known[:, :, None]).sum(1) / known.sum(1, keepdim=True)


class TextEncoder(nn.Module):
    """`depth` blocks, each a stage; mean over the tokens; linear. Weights are drawn as usual for these networks: a
    normal distribution with standard deviation 0.02. A text has one token at least."""

    def __init__(
        self, depth: int, dim: int, heads: int, classes: int, vocabulary: int, longest: int, normalize: nn.Module
    ):
        super().__init__()
        self.normalize = normalize
        self.stem = Tokens(vocabulary, longest, dim)
        self.stages = [f"stage{index + 1}" for index in range(depth)]
        for name in self.stages:
            self.add_module(name, Block(dim, heads))
        self.pool = MeanOfTokens(dim)
        self.head = nn.Linear(dim, classes)
        draw_weights(self)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        tokens = self.stem(self.normalize(ids))
        known = (ids != PADDING).to(tokens.dtype)
        mask = ((1 - known) * FAR)[:, None, None, :]
        for name in self.stages:
            tokens = self.get_submodule(name)(tokens, mask)
        return self.head(self.pool(tokens, known))
