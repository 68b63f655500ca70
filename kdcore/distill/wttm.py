"""Weighted transformed teacher matching: only the teacher is softened (Zheng and Yang 2024)."""

from __future__ import annotations

from pydantic import Field

from kdcore.distill.method import Method, StepInputs, cross_entropy
from kdcore.distill.traits import MethodTraits
from kdcore.lazy import functional, torch
from kdcore.registry import Options, register


class Wttm(Options):
    """Options of weighted transformed teacher matching.

    The defaults are what it has beside CRD in the authors' example (vgg13 -> vgg8); those of WTTM by itself are not in
    their repository, and differ from pair to pair.
    """

    temperature: float = Field(
        5.0,
        ge=1,
        le=100,
        description="Temperature (T) of the teacher's outputs; the student's stay unchanged.",
    )
    hard_weight: float = Field(1.0, ge=0, le=100, description="Weight of the labels (hard targets).")
    soft_weight: float = Field(
        4.0,
        gt=0,
        le=100,
        description="Weight of the soft targets. The paper tunes it, and T, for each pair of networks.",
    )


def transformed(student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """KL(teacher at T ‖ student at 1) with a weight for each image, batch mean (Zheng and Yang 2024, section 4).

    `student`, `teacher`: logits (B, K). The weight is the sum of the teacher's probabilities to the power 1/T, from 1
    (certain) to K^(1 - 1/T) (undecided): images of which the teacher is less sure count more. No factor T².
    """
    log_probabilities = functional.log_softmax(teacher, dim=1) / temperature
    weights = log_probabilities.exp().sum(dim=1)
    log_teacher = functional.log_softmax(log_probabilities, dim=1)
    log_student = functional.log_softmax(student, dim=1)
    divergences = functional.kl_div(log_student, log_teacher, reduction="none", log_target=True).sum(dim=1)
    return (weights * divergences).mean()


@register(
    "method",
    "wttm",
    "Weighted transformed teacher: soften only the teacher, and weight uncertain samples more",
    source="Zheng and Yang 2024, arXiv:2402.11148, section 4",
    options=Wttm,
    traits=MethodTraits(
        family="responses",
        label="student, WTTM",
        role="distilled",
        formula=r"w_h\,\mathrm{CE}(y, p^s) + \\ w_s\,\Big( \sum_k (p^t_k)^{1/T} \Big)\,\mathrm{KL}(p^t_T \,\|\, p^s)",
        helps=(
            "Where examples on which the teacher is uncertain should count more; the student itself is not softened."
        ),
    ),
)
class TransformedTeacher(Method[Wttm]):
    """`hard_weight * CE(student, labels) + soft_weight * weighted KL(teacher at T ‖ student)`."""

    def loss(self, seen: StepInputs) -> dict[str, torch.Tensor]:
        options = self.options
        return {
            "hard": options.hard_weight * cross_entropy(seen.student, seen.targets),
            "soft": options.soft_weight * transformed(seen.student, seen.teacher, options.temperature),
        }
