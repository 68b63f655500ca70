"""The control: the teacher's verdict alone, without what its soft targets carry."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from kdcore.distill.method import Method, Seen, cross_entropy
from kdcore.lazy import functional, torch
from kdcore.registry import Options, register


class HardLabels(Options):
    """Options of the hard-label control."""

    hard_weight: float = Field(0.1, ge=0, le=100, description="Weight of the labels (hard targets).")
    teacher_weight: float = Field(0.9, ge=0, le=100, description="Weight of the class that the teacher chooses.")

    @model_validator(mode="after")
    def _something_to_learn(self) -> Self:
        if not self.hard_weight and not self.teacher_weight:
            raise ValueError("needs a hard or a teacher weight above 0: with neither there is nothing to learn")
        return self


def teacher_labels(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy with the class that the teacher rates highest. Logits (B, K), in nats."""
    return functional.cross_entropy(student, teacher.argmax(dim=1))


@register(
    "method",
    "hard_labels",
    "Control: the teacher's most likely class as the label",
    source="the T → 0 limit of Hinton et al. 2015; pseudo-labels, Lee 2013",
    options=HardLabels,
    traits={
        "family": "controls",
        "label": "student on hard labels",
        "short": "hard labels",
        "role": "hard_labels",
    },
)
class TeacherHardLabels(Method[HardLabels]):
    """`hard_weight * CE(student, labels) + teacher_weight * CE(student, argmax teacher)`."""

    def loss(self, seen: Seen) -> dict[str, torch.Tensor]:
        return {
            "hard": self.options.hard_weight * cross_entropy(seen.student, seen.targets),
            "teacher_labels": self.options.teacher_weight * teacher_labels(seen.student, seen.teacher),
        }
