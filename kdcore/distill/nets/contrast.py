"""The embeddings of contrastive distillation and the memory of all training images."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional


class Contrast(nn.Module):
    """Both networks' features as directions in one space, and the last known direction of each of `images` images.

    `classes`: the class of each image as far as it is known, else -1. `log_z`: logarithm of the normalisation of the
    student's and the teacher's scores, infinite until the first step estimates it.
    """

    banks: torch.Tensor
    classes: torch.Tensor
    log_z: torch.Tensor

    def __init__(self, student: int, teacher: int, dimensions: int, images: int):
        super().__init__()
        self.embed = nn.ModuleList([nn.Linear(student, dimensions), nn.Linear(teacher, dimensions)])
        bound = math.sqrt(3 / dimensions)
        self.register_buffer("banks", torch.empty(2, images, dimensions).uniform_(-bound, bound))
        self.register_buffer("classes", torch.full((images,), -1))
        self.register_buffer("log_z", torch.full((2,), math.inf))

    def forward(self, student: torch.Tensor, teacher: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Unit vectors (B, dimensions) of the student's and the teacher's features (B, ·)."""
        own, other = (layer(features) for layer, features in zip(self.embed, (student, teacher), strict=True))
        return functional.normalize(own, dim=1), functional.normalize(other, dim=1)

    @torch.no_grad()
    def remember(self, indices: torch.Tensor, student: torch.Tensor, teacher: torch.Tensor, momentum: float) -> None:
        """Moves the images' directions towards the new ones; an image that is there twice, towards their mean."""
        same = (indices[:, None] == indices[None]).float()
        for bank, new in zip(self.banks, (student, teacher), strict=True):
            means = same @ new.detach() / same.sum(dim=1, keepdim=True)
            moved = momentum * bank[indices] + (1 - momentum) * means
            bank.index_copy_(0, indices, functional.normalize(moved, dim=1))

    @torch.no_grad()
    def normalisation(self, side: int, scores: torch.Tensor) -> torch.Tensor:
        """log Z of one side (0 student, 1 teacher): of the first step's log scores, mean score times images."""
        estimate = scores.logsumexp(dim=(0, 1)) - math.log(scores.numel()) + math.log(len(self.classes))
        self.log_z[side] = torch.where(self.log_z[side].isinf(), estimate, self.log_z[side])
        return self.log_z[side].clone()

    def negatives(self, chosen: torch.Tensor, count: int, generator: torch.Generator) -> torch.Tensor:
        """(B, count) indices of images that are not known to be of the class `chosen` (B,), each as likely.

        With repetition. Where every image is of that class, any.
        """
        ordered, places = self.classes.sort(stable=True)
        first, end = torch.searchsorted(ordered, chosen), torch.searchsorted(ordered, chosen, right=True)
        others = len(ordered) - (end - first)
        alone = others == 0
        first, end = (torch.where(alone, torch.zeros_like(edge), edge) for edge in (first, end))
        others = torch.where(alone, len(ordered), others)
        share = torch.rand(len(chosen), count, generator=generator, device=chosen.device, dtype=torch.float64)
        drawn = (share * others[:, None]).long()
        drawn += torch.where(drawn >= first[:, None], (end - first)[:, None], 0)  # jump over the class
        return places[drawn % len(ordered)]
