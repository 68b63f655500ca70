"""The objectives of networks that learn in one stage, each from what the others answer meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from kdcore.distill.method import Method, StepInputs
from kdcore.train.objective import Batch, Objective


class _Together(Objective):
    """`made`: the networks beside the student, trained along and not kept."""

    def __init__(self, method: Method[Any], made: Sequence[nn.Module]):
        self.method, self.made = method, made

    def prepare(self, network: nn.Module, example: Batch, images: int, precision: str) -> None:
        super().prepare(network, example, images, precision)
        self.companions = nn.ModuleList(self.made)

    def _taught(self, logits: torch.Tensor, teacher: torch.Tensor, batch: Batch) -> torch.Tensor:
        seen = StepInputs(
            logits, teacher.detach(), batch.targets,
            indices=batch.indices, step=batch.step, steps=batch.steps, seed=batch.seed, labelling=self.labelling,
        )  # fmt: skip
        return torch.stack(list(self.method.loss(seen).values())).sum()


class Mutually(_Together):
    """Deep mutual learning: every network is taught by every other, and losses are means over its teachers."""

    def loss(self, network: nn.Module, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        said = [self.logits(one, batch.images) for one in (network, *self.made)]
        losses = [
            self._taught(own, other, batch) / (len(said) - 1) for own in said for other in said if other is not own
        ]
        return torch.stack(losses).sum(), said[0]


class Jointly(_Together):
    """The one network beside the student is its teacher, and learns from the labels."""

    def loss(self, network: nn.Module, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        logits, teacher = self.logits(network, batch.images), self.logits(self.made[0], batch.images)
        return self._taught(logits, teacher, batch) + self.labelling.loss(teacher, batch.targets), logits
