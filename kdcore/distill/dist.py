"""DIST: the student's probabilities need only be correlated with the teacher's (Huang et al. 2022)."""

from __future__ import annotations

from pydantic import Field

from kdcore.distill.method import Method, StepInputs, cross_entropy
from kdcore.distill.traits import MethodTraits
from kdcore.lazy import functional, torch
from kdcore.registry import Options, Searched, register


class Dist(Options):
    """Options of DIST; the defaults are those of its published CIFAR-100 results."""

    temperature: float = Field(4.0, ge=0.25, le=100, description="Temperature (T) of the soft targets.")
    hard_weight: float = Field(1.0, ge=0, le=100, description="Weight of the labels (hard targets).")
    inter_weight: float = Field(
        2.0,
        ge=0,
        le=100,
        description="Weight of the inter-class relation: correlation with the teacher over each example's classes.",
    )
    intra_weight: float = Field(
        2.0,
        ge=0,
        le=100,
        description="Weight of the intra-class relation: correlation with the teacher over the examples of a batch, "
        "for each class.",
    )


def relation(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """One minus Pearson's correlation of the rows of two matrices, mean over the rows: 0 (agree) to 2 (opposed).

    Huang et al. 2022, section 4. Each row may be shifted, and stretched by a positive factor, in either. A constant
    row has no correlation and counts 1, without a gradient.
    """
    centred_student = student - student.mean(dim=1, keepdim=True)
    centred_teacher = teacher - teacher.mean(dim=1, keepdim=True)
    return 1 - functional.cosine_similarity(centred_student, centred_teacher, dim=1, eps=1e-8).mean()


def relations(student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> tuple[torch.Tensor, torch.Tensor]:
    """T² times the relation between classes (rows of the softened probabilities) and within classes (columns).

    `student`, `teacher`: logits (B, K).
    """
    student, teacher = (student / temperature).softmax(dim=1), (teacher / temperature).softmax(dim=1)
    scale = temperature**2
    return scale * relation(student, teacher), scale * relation(student.T, teacher.T)


@register(
    "method",
    "dist",
    "DIST: match relations between classes and between examples instead of exact probabilities",
    source="Huang et al. 2022, arXiv:2205.10536, section 4",
    options=Dist,
    traits=MethodTraits(
        family="responses",
        label="student, DIST",
        role="distilled",
        search=(
            Searched("temperature", 1, 16, log=True),
            Searched("hard_weight", 0.1, 2, log=True),
        ),
        formula=(
            r"w_h\,\mathrm{CE}(y, p^s) + \\ T^2 w_1 \left(1 - \bar\rho_{\text{rows}}(p^s_T, p^t_T)\right) + \\ "
            r"T^2 w_2 \left(1 - \bar\rho_{\text{columns}}(p^s_T, p^t_T)\right)"
        ),
        helps=(
            "With a teacher far stronger than the student: the probabilities need only be correlated with the "
            "teacher's (Pearson's ρ), not equal."
        ),
    ),
)
class RelationDistillation(Method[Dist]):
    """`hard_weight * CE(student, labels) + inter_weight * T² * inter + intra_weight * T² * intra`."""

    def loss(self, seen: StepInputs) -> dict[str, torch.Tensor]:
        options = self.options
        inter, intra = relations(seen.student, seen.teacher, options.temperature)
        return {
            "hard": options.hard_weight * cross_entropy(seen.student, seen.targets),
            "inter": options.inter_weight * inter,
            "intra": options.intra_weight * intra,
        }
