"""The fusion of a network's stages, from the deepest to the shallowest, in ReviewKD."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional


class Fusion(nn.Module):
    """Attention-based fusion (ABF): one stage's features, mixed place by place with what the deeper stages gave."""

    def __init__(self, inputs: int, middle: int, outputs: int, deepest: bool):
        super().__init__()
        self.narrow = nn.Sequential(nn.Conv2d(inputs, middle, 1, bias=False), nn.BatchNorm2d(middle))
        self.widen = nn.Sequential(nn.Conv2d(middle, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs))
        self.attention = None if deepest else nn.Sequential(nn.Conv2d(2 * middle, 2, 1), nn.Sigmoid())
        for layer in (*self.narrow, *self.widen):
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_uniform_(layer.weight, a=1)

    def forward(
        self, features: torch.Tensor, deeper: torch.Tensor | None, size: Sequence[int]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What is compared with the teacher's stage, (B, outputs, *size), and what the next, shallower stage takes."""
        mixed = self.narrow(features)
        if self.attention is not None and deeper is not None:
            deeper = _resized(deeper, mixed.shape[2:])
            shares = self.attention(torch.cat([mixed, deeper], dim=1))
            mixed = mixed * shares[:, :1] + deeper * shares[:, 1:]
        mixed = _resized(mixed, size)
        return self.widen(mixed), mixed


def _resized(maps: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    return maps if tuple(maps.shape[2:]) == tuple(size) else functional.interpolate(maps, tuple(size), mode="nearest")


class Review(nn.Module):
    """One fusion a stage. `student`, `teacher`: channels of the stages, first to last."""

    def __init__(self, student: Sequence[int], teacher: Sequence[int], widest: int = 512):
        super().__init__()
        middle = min(widest, student[-1])
        last = len(student) - 1
        self.fusions = nn.ModuleList(
            Fusion(inputs, middle, outputs, place == last)
            for place, (inputs, outputs) in enumerate(zip(student, teacher, strict=True))
        )

    def forward(self, features: Sequence[torch.Tensor], sizes: Sequence[Sequence[int]]) -> list[torch.Tensor]:
        """Fused features for each stage, first to last, in the teacher's channels and `sizes` (H, W)."""
        deeper, fused = None, []
        for fusion, own, size in zip(reversed(self.fusions), reversed(features), reversed(sizes), strict=True):
            output, deeper = fusion(own, deeper, size)
            fused.append(output)
        return fused[::-1]
