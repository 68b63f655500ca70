"""Distillation of images with several labels: every class is a yes or no of its own (Yang et al. 2023)."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from kdcore.distill.method import Method, StepInputs
from kdcore.distill.traits import MethodTraits
from kdcore.lazy import functional, torch
from kdcore.registry import Options, register


class Sigmoid(Options):
    """Options of per-class distillation."""

    temperature: float = Field(
        1.0,
        ge=0.25,
        le=100,
        description="Temperature (T) of each yes/no output. 1: unchanged; higher: softer.",
    )
    hard_weight: float = Field(1.0, ge=0, le=100, description="Weight of the labels (hard targets).")
    soft_weight: float = Field(
        10.0, ge=0, le=100, description="Weight of the teacher's probability of each class (soft targets)."
    )

    @model_validator(mode="after")
    def _something_to_learn(self) -> Self:
        if not self.hard_weight and not self.soft_weight:
            raise ValueError("hard and soft weight must not both be 0: the loss would be zero")
        return self


def binary_divergence(student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """T² · KL(teacher at T ‖ student at T) of each class's yes or no, summed over the classes, batch mean, in nats.

    `student`, `teacher`: logits (B, K); a class's probability is sigmoid(logit / T). At T = 1 this is the
    multi-label logits distillation of Yang et al. 2023, section 3.2. The factor T² is Hinton's (2015, section 2.1): the
    gradient of a logit is T · (sigmoid(s / T) - sigmoid(t / T)), so that as T → ∞ the loss tends to (s - t)² / 8.
    """
    soft = torch.sigmoid(teacher / temperature)
    cross = functional.binary_cross_entropy_with_logits(student / temperature, soft, reduction="sum")
    entropy = functional.binary_cross_entropy_with_logits(teacher / temperature, soft, reduction="sum")
    return (cross - entropy) / len(student) * temperature**2


@register(
    "method",
    "sigmoid",
    "Several labels per example: match the teacher's probability of each class",
    source="Yang et al. 2023, arXiv:2308.06453, section 3.2 (its logits part)",
    options=Sigmoid,
    traits=MethodTraits(
        family="responses",
        label="student, sigmoid KD",
        role="distilled",
        labels="many",
        formula=(
            r"w_h\,\mathrm{BCE}(y, \sigma(z^s)) + \\ w_s\,T^2 \sum_k \mathrm{KL}(\sigma(z^t_k / T) \,\|\, "
            r"\sigma(z^s_k / T))"
        ),
        helps="For examples with several labels, where a softmax would make the classes compete.",
    ),
)
class SigmoidDistillation(Method[Sigmoid]):
    """`hard_weight * BCE(student, labels) + soft_weight * T² * KL(teacher at T ‖ student at T)`, summed over classes.

    Both terms are means over the batch. In the authors' code (L2D) the labels' term is a sum over it and the teacher's,
    with the weight 10, a mean, so that theirs stand as 1 to 10/64 at their batch of 64: `soft_weight` 0.156 here.
    Images without labels count in the second term alone.
    """

    def loss(self, seen: StepInputs) -> dict[str, torch.Tensor]:
        options = self.options
        return {
            "hard": options.hard_weight * seen.label_loss(),
            "soft": options.soft_weight * binary_divergence(seen.student, seen.teacher, options.temperature),
        }
