"""Logit matching: the student's outputs before the softmax become the teacher's (Ba and Caruana 2014)."""

from __future__ import annotations

from pydantic import Field

from kdcore.distill.method import Method, StepInputs
from kdcore.distill.traits import MethodTraits
from kdcore.lazy import torch
from kdcore.registry import Options, register


class Logits(Options):
    """Options of logit matching."""

    hard_weight: float = Field(
        0.0,
        ge=0,
        le=100,
        description="Weight of the labels (hard targets). 0 in the paper: only the teacher counts.",
    )
    logit_weight: float = Field(
        1.0, gt=0, le=1000, description="Weight of the squared distance to the teacher's logits."
    )


def logit_distance(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Half the squared distance of the logits (B, K), mean over the batch: Ba and Caruana 2014, eq. 1.

    The logits are not centred, as in the paper: a shift of all of an image's logits counts, though it changes no
    probability. Nothing here is about a softmax, so images may have several labels.
    """
    return (student - teacher).square().sum(dim=1).mean() / 2


@register(
    "method",
    "logits",
    "Logit matching: regress the teacher's logits",
    source="Ba and Caruana 2014, arXiv:1312.6184, eq. 1",
    options=Logits,
    traits=MethodTraits(
        family="responses",
        label="student, logit matching",
        role="distilled",
        labels="both",
        formula=r"w_h\,\mathrm{CE}(y, p^s) + \tfrac{w_l}{2}\,\| z^s - z^t \|^2",
        helps=(
            "When the teacher's logits have the scale that the student should have. Soft targets come near it at "
            "a high temperature."
        ),
    ),
)
class LogitMatching(Method[Logits]):
    """`hard_weight * CE(student, labels) + logit_weight * |student - teacher|² / 2`."""

    def loss(self, seen: StepInputs) -> dict[str, torch.Tensor]:
        return {
            "hard": self.options.hard_weight * seen.label_loss(),
            "logits": self.options.logit_weight * logit_distance(seen.student, seen.teacher),
        }
