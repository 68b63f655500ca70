"""Similarity-preserving distillation (Tung and Mori 2019)."""

from __future__ import annotations

from pydantic import Field

from kdcore.distill.features import hard_weight, last_stage, tap_field
from kdcore.distill.method import Method, StepInputs, Taps
from kdcore.distill.traits import MethodTraits
from kdcore.lazy import functional, nn, torch
from kdcore.registry import Options, register


class Sp(Options):
    """Options of similarity-preserving distillation."""

    similarity_weight: float = Field(
        3000.0,
        gt=0,
        le=1e7,
        description="Weight of the similarity matrices: which examples of a batch are similar to each other.",
    )
    hard_weight: float = hard_weight()
    student_tap: str = tap_field("student", "the last stage")
    teacher_tap: str = tap_field("teacher", "the last stage")


def similarity_loss(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Squared distance of the two batches' similarity matrices over B².

    `student`, `teacher`: features of the same B images, of any shapes (B, ...). Each is flattened to Q (B, F), and
    Q Qᵀ has its rows normalised. Tung and Mori 2019, the similarity-preserving loss.
    """
    return functional.mse_loss(_similarities(student), _similarities(teacher))


def _similarities(features: torch.Tensor) -> torch.Tensor:
    flat = features.flatten(1)
    return functional.normalize(flat @ flat.T, dim=1)


@register(
    "method",
    "sp",
    "Similarity preserving: match the teacher's similarities between examples",
    source="Tung and Mori 2019, arXiv:1907.09682; weight of the paper's CIFAR runs",
    version=2,
    options=Sp,
    traits=MethodTraits(
        family="features",
        label="student, SP",
        role="distilled",
        taps=True,
        labels="both",
        formula=(
            r"w_h\,\mathrm{CE}(y, p^s) + w_g\,\mathrm{MSE}(G^s, G^t) \\ G = \text{rows of } F F^{\top} \text{ of "
            r"unit length}"
        ),
        helps=(
            "For networks of different shapes: only the similarities between the examples of a batch are compared. "
            "Large batches say more."
        ),
    ),
)
class SimilarityPreserving(Method[Sp]):
    """`hard_weight * CE(student, labels) + similarity_weight * distance of the similarity matrices`.

    As in RepDistiller, the last stage is compared before what comes after it: a last 1x1 convolution (MobileNetV2,
    ShuffleNetV2), or batch norm and ReLU (WRN).
    """

    def taps(self, student: nn.Module, teacher: nn.Module) -> Taps:
        self._student = last_stage(student, self.options.student_tap, "student")
        self._teacher = last_stage(teacher, self.options.teacher_tap, "teacher")
        return Taps((self._student,), (self._teacher,))

    def loss(self, seen: StepInputs) -> dict[str, torch.Tensor]:
        similarity = similarity_loss(seen.student_features[self._student], seen.teacher_features[self._teacher])
        return {
            "hard": self.options.hard_weight * seen.label_loss(),
            "similarity": self.options.similarity_weight * similarity,
        }
