"""Soft targets with a fault that published code has had: for the lesson in which somebody finds it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from kdcore import models
from kdcore.distill.kd import soft_targets
from kdcore.distill.method import Method, StepInputs, Taps, cross_entropy
from kdcore.distill.traits import MethodTraits
from kdcore.lazy import nn, torch
from kdcore.registry import Options, by_options, register

Fault = Literal["none", "train_mode", "swapped", "no_t2", "mean", "unused"]


class FaultyKd(Options):
    """Options of soft targets with a fault: those of `kd`, and which fault."""

    temperature: float = Field(4.0, ge=0.25, le=100, description="Temperature T of the targets.")
    hard_weight: float = Field(0.1, gt=0, le=100, description="Weight of the labels (hard targets).")
    soft_weight: float = Field(0.9, ge=0, le=100, description="Weight of the teacher's softened outputs.")
    fault: Fault = Field(
        "no_t2",
        description="None; the teacher is left in training mode; the arguments of the divergence are swapped; the "
        "factor T² is dropped; the divergence is averaged over classes too (mean instead of batchmean); the teacher's "
        "output is computed and never used.",
    )


@register(
    "method",
    "faulty_kd",
    "Soft targets with a fault, for the lesson that finds it",
    source="The loss without a fault: Hinton et al. 2015, arXiv:1503.02531",
    options=FaultyKd,
    traits=MethodTraits(
        family="responses",
        label="student, faulty KD",
        role="distilled",
        taps=by_options(lambda options: options.fault == "train_mode"),
        hidden=True,
    ),
)
class FaultyDistillation(Method[FaultyKd]):
    """`kd` with one thing wrong."""

    def taps(self, student: nn.Module, teacher: nn.Module) -> Taps:
        """None are used. A teacher in training mode must be asked again each time: its answers may not be cached."""
        if self.options.fault != "train_mode":
            return Taps()
        teacher.train()
        return Taps((), tuple(models.taps(teacher))[:1])

    def loss(self, seen: StepInputs) -> dict[str, torch.Tensor]:
        options = self.options
        return {
            "hard": options.hard_weight * cross_entropy(seen.student, seen.targets),
            "soft": options.soft_weight * self._soft(seen.student, seen.teacher),
        }

    def _soft(self, student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
        temperature = self.options.temperature
        match self.options.fault:
            case "swapped":
                return soft_targets(teacher, student, temperature)
            case "no_t2":
                return soft_targets(student, teacher, temperature) / temperature**2
            case "mean":
                return soft_targets(student, teacher, temperature) / student.shape[1]  # torch may change its `mean`
            case "unused":
                return soft_targets(student, student.detach(), temperature)
        return soft_targets(student, teacher, temperature)
