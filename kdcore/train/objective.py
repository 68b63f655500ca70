"""What a network learns from in one step: the labels; in `kdcore.distill.objectives`, its teachers too."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from kdcore.data.labelling import ONE_LABEL, Labelling
from kdcore.train.precision import autocast
from kdcore.train.team import ALONE, Alone


@dataclass(frozen=True)
class Batch:
    """What one step shows: `images` float32 (B, C, H, W) in [0, 1], `targets` (B, K), rows of zeros where there is no
    label, `indices` (B,) their places among the training images, `step` of `steps`, and a `seed` for chance."""

    images: torch.Tensor
    targets: torch.Tensor
    indices: torch.Tensor
    step: int
    steps: int
    seed: int


class Objective:
    """Learning from labels, as `labelling` means them. `companions`: what is trained along and saved in checkpoints.

    `team`: the processes that compute each batch together, from when `prepare` has returned.
    """

    companions: nn.Module
    precision: str
    labelling: Labelling = ONE_LABEL
    team: Alone = ALONE

    def prepare(self, network: nn.Module, example: Batch, images: int, precision: str) -> None:
        """Called once, with the network on its device, an example of two images, and how many images there are."""
        self.companions, self.precision = nn.Module(), precision

    def loss(self, network: nn.Module, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """The loss to be minimised, a scalar, and the network's logits (B, K)."""
        logits = self.logits(network, batch.images)
        return self.labelling.loss(logits, batch.targets), logits

    def close(self) -> None:
        """Called once after training: lets go of the network."""

    def logits(self, network: nn.Module, images: torch.Tensor) -> torch.Tensor:
        """(B, K) float32, computed in the precision of the training."""
        with autocast(images.device, self.precision):
            return self.team.answers(network, images).float()
