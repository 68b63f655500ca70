"""Reverse KL: the student must not say what its teacher would not (Gu et al. 2024)."""

from __future__ import annotations

from pydantic import Field

from kdcore.distill.kd import soft_targets
from kdcore.distill.method import Method, StepInputs, cross_entropy
from kdcore.distill.traits import MethodTraits
from kdcore.lazy import torch
from kdcore.registry import Options, Searched, register


class ReverseKl(Options):
    """Options of reverse KL."""

    temperature: float = Field(
        1.0, ge=0.25, le=100, description="Temperature (T) of both distributions. 1: unchanged; higher: softer."
    )
    hard_weight: float = Field(0.1, ge=0, le=100, description="Weight of the labels (hard targets).")
    reverse_weight: float = Field(0.9, gt=0, le=100, description="Weight of the divergence from the teacher.")


def reverse_kl(student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """T² · KL(student at T ‖ teacher at T), batch mean, in nats; logits (B, K).

    It is large where the student gives probability to a class to which the teacher gives none, and small where the
    student leaves out one of several possible classes: soft targets weigh the other way round.
    """
    return soft_targets(teacher, student, temperature)


@register(
    "method",
    "reverse_kl",
    "Reverse KL: keep to what is probable for the teacher",
    source="Gu et al. 2024, arXiv:2306.08543, eq. 1, at each prediction; T² as in Hinton et al. 2015",
    options=ReverseKl,
    traits=MethodTraits(
        family="responses",
        label="student, reverse KL",
        role="distilled",
        search=(Searched("temperature", 1, 16, log=True),),
        formula=r"w_h\,\mathrm{CE}(y, p^s) + w_r\,T^2\,\mathrm{KL}(p^s_T \,\|\, p^t_T)",
        helps=(
            "When a student is too small for all that its teacher gives probability to, and what it writes should be "
            "right: a language model."
        ),
    ),
)
class ReverseKullbackLeibler(Method[ReverseKl]):
    """`hard_weight * CE(student, labels) + reverse_weight * T² * KL(student at T ‖ teacher at T)`."""

    def loss(self, seen: StepInputs) -> dict[str, torch.Tensor]:
        options = self.options
        return {
            "hard": options.hard_weight * cross_entropy(seen.student, seen.targets),
            "reverse": options.reverse_weight * reverse_kl(seen.student, seen.teacher, options.temperature),
        }
