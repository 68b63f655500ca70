"""Knowledge distillation from softened outputs (Hinton, Vinyals and Dean 2015)."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from kdcore.distill.method import Method, StepInputs, cross_entropy
from kdcore.distill.standardize import HELP, label, standardized
from kdcore.distill.traits import MethodTraits
from kdcore.lazy import functional, torch
from kdcore.registry import Options, Searched, register


class Kd(Options):
    """Options of plain knowledge distillation."""

    temperature: float = Field(
        4.0,
        ge=0.25,
        le=100,
        description="Temperature (T) of the soft targets. 1: unchanged; higher: softer.",
    )
    hard_weight: float = Field(0.1, ge=0, le=100, description="Weight of the labels (hard targets).")
    soft_weight: float = Field(
        0.9, ge=0, le=100, description="Weight of the teacher's softened outputs (soft targets)."
    )

    standardize: bool = Field(
        False,
        description=f"{HELP}Its authors take temperature 2 (3 for vgg13 -> vgg8) and soft weight 9 with it "
        "(Sun et al. 2024).",
    )

    @model_validator(mode="after")
    def _something_to_learn(self) -> Self:
        if not self.hard_weight and not self.soft_weight:
            raise ValueError("hard and soft weight must not both be 0: the loss would be zero")
        return self


def soft_targets(student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """T² · KL(teacher at T ‖ student at T), batch mean, in nats.

    `student`, `teacher`: logits (B, K). The factor T² keeps the gradient's size as T grows
    (Hinton et al. 2015, section 2.1); as T → ∞ it tends to the squared distance of the centred
    logits over 2K.
    """
    log_student = functional.log_softmax(student / temperature, dim=1)
    log_teacher = functional.log_softmax(teacher / temperature, dim=1)
    divergence = functional.kl_div(log_student, log_teacher, reduction="batchmean", log_target=True)
    return divergence * temperature**2


@register(
    "method",
    "kd",
    "Soft targets: match the teacher's softened outputs",
    source="Hinton et al. 2015, arXiv:1503.02531, eq. 1 and section 2",
    options=Kd,
    traits=MethodTraits(
        family="responses",
        label=label("student distilled"),
        short="KD",
        role="distilled",
        standardize=True,
        search=(
            Searched("temperature", 1, 16, log=True),
            Searched("hard_weight", 0.05, 1, log=True),
        ),
        formula=r"w_h\,\mathrm{CE}(y, p^s) + w_s\,T^2\,\mathrm{KL}(p^t_T \,\|\, p^s_T)",
        helps=(
            "With few labels, similar classes or a student much smaller than its teacher. It helps least with all "
            "labels and long training."
        ),
    ),
)
class KnowledgeDistillation(Method[Kd]):
    """`hard_weight * CE(student, labels) + soft_weight * T² * KL(teacher at T ‖ student at T)`."""

    def loss(self, seen: StepInputs) -> dict[str, torch.Tensor]:
        options, student, teacher = self.options, seen.student, seen.teacher
        if options.standardize:
            student, teacher = standardized(student), standardized(teacher)
        return {
            "hard": options.hard_weight * cross_entropy(seen.student, seen.targets),
            "soft": options.soft_weight * soft_targets(student, teacher, options.temperature),
        }
