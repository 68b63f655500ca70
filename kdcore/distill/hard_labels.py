"""The control: the teacher's verdict alone, without what its soft targets carry."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from kdcore.data.labelling import ONE_LABEL, Labelling
from kdcore.distill.method import Method, StepInputs
from kdcore.distill.traits import MethodTraits
from kdcore.lazy import torch
from kdcore.registry import Options, register


class HardLabels(Options):
    """Options of the hard-label control."""

    hard_weight: float = Field(0.1, ge=0, le=100, description="Weight of the labels (hard targets).")
    teacher_weight: float = Field(0.9, ge=0, le=100, description="Weight of the teacher's predicted class.")

    @model_validator(mode="after")
    def _something_to_learn(self) -> Self:
        if not self.hard_weight and not self.teacher_weight:
            raise ValueError("hard and teacher weight must not both be 0: the loss would be zero")
        return self


def teacher_labels(student: torch.Tensor, teacher: torch.Tensor, labelling: Labelling = ONE_LABEL) -> torch.Tensor:
    """Mean cross-entropy with the class that the teacher rates highest; of many, with those it gives above one half.

    Logits (B, K); a scalar in nats.
    """
    return labelling.loss(student, labelling.decided(teacher))


@register(
    "method",
    "hard_labels",
    "Control: the teacher's predicted class as the label",
    source="the T → 0 limit of Hinton et al. 2015; pseudo-labels, Lee 2013",
    options=HardLabels,
    traits=MethodTraits(
        family="controls",
        label="student on hard labels",
        short="hard labels",
        role="hard_labels",
        labels="both",
        formula=r"w_h\,\mathrm{CE}(y, p^s) + w_t\,\mathrm{CE}(\arg\max z^t, p^s)",
        helps=(
            "As a control: what soft targets gain beyond it comes from the probabilities of the other classes. It "
            "also uses examples without labels."
        ),
    ),
)
class TeacherHardLabels(Method[HardLabels]):
    """`hard_weight * CE(student, labels) + teacher_weight * CE(student, argmax teacher)`."""

    def loss(self, seen: StepInputs) -> dict[str, torch.Tensor]:
        return {
            "hard": self.options.hard_weight * seen.label_loss(),
            "teacher_labels": self.options.teacher_weight * teacher_labels(seen.student, seen.teacher, seen.labelling),
        }
