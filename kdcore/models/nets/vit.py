"""A small vision transformer."""

from __future__ import annotations

import math
from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional

from kdcore.models.nets.attention import Heads, PreNorm

STAGES = 3  # taps beside the stem


class Patches(nn.Module):
    """Cuts images (B, C, H, W) into patches and makes each a vector with a learned position: (B, dim, h, w).

    Images whose sides are no multiple of the patch get a border of zeros, the mean colour, at the right and below.
    """

    def __init__(self, channels: int, dim: int, patch: int, size: tuple[int, int]):
        super().__init__()
        height, width = (math.ceil(side / patch) for side in size)
        border = (0, width * patch - size[1], 0, height * patch - size[0])
        self.pad = nn.ZeroPad2d(border) if any(border) else None
        self.conv = nn.Conv2d(channels, dim, patch, patch)
        self.position = nn.Parameter(torch.empty(dim, height, width))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if self.pad is not None:
            images = self.pad(images)
        return self.conv(images) + self.position


class Attention(Heads):
    """Every token (B, N, dim) looks at all others, in several heads."""

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        query, key, value = self.split(tokens)
        seen = functional.scaled_dot_product_attention(query, key, value)
        return self.out(seen.transpose(1, 2).flatten(2))


class Block(PreNorm):
    """Attention and two linear layers, each after layer norm and beside a shortcut (pre-norm)."""

    def __init__(self, dim: int, heads: int):
        super().__init__(dim, Attention(dim, heads))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        tokens = tokens + self.attention(self.norm1(tokens))
        return tokens + self.mlp(self.norm2(tokens))


class Stage(nn.Module):
    """Blocks that take and give maps (B, dim, h, w)."""

    def __init__(self, dim: int, heads: int, blocks: int, size: tuple[int, int]):
        super().__init__()
        self.size = size
        self.blocks = nn.Sequential(*(Block(dim, heads) for _ in range(blocks)))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return self.blocks(maps.flatten(2).transpose(1, 2)).transpose(1, 2).unflatten(2, self.size)


class Mean(nn.Module):
    """Layer norm of every token of a map (B, dim, h, w), and their mean (B, dim)."""

    def __init__(self, dim: int):
        super().__init__()
        self.norm = nn.LayerNorm(dim)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return self.norm(maps.flatten(2).transpose(1, 2)).mean(1)


def vit(
    patch: int, depth: int, dim: int, heads: int, classes: int, shape: tuple[int, int, int], normalize: nn.Module
) -> nn.Module:
    """`depth` blocks over patches of `patch` pixels, in three stages (or `depth`); mean over the tokens; linear.

    Weights are drawn as usual for these networks: a normal distribution with standard deviation 0.02, cut at 2.
    """
    channels, *image = shape
    stem = Patches(channels, dim, patch, (image[0], image[1]))
    size = (stem.position.shape[1], stem.position.shape[2])
    children: OrderedDict[str, nn.Module] = OrderedDict(normalize=normalize, stem=stem)
    stages = min(STAGES, depth)
    for index in range(stages):
        blocks = depth * (index + 1) // stages - depth * index // stages
        children[f"stage{index + 1}"] = Stage(dim, heads, blocks, size)
    network = nn.Sequential(children | OrderedDict(pool=Mean(dim), head=nn.Linear(dim, classes)))
    nn.init.normal_(stem.position, std=0.02)
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.02)
            nn.init.zeros_(module.bias)
    return network
