"""Knowledge review: each stage of the teacher reviewed by all deeper stages of the student (Chen et al. 2021)."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from kdcore.distill.features import embedding, hard_weight, matched_taps, need_maps, taps_field
from kdcore.distill.method import Method, StepInputs, Taps
from kdcore.distill.traits import MethodTraits
from kdcore.lazy import functional, nn, torch
from kdcore.registry import Options, register

PYRAMID = (4, 2, 1)  # pixels a side


class Reviewkd(Options):
    """Options of knowledge review."""

    review_weight: float = Field(
        1.0, gt=0, le=1e4, description="Weight of the review. The authors use 0.6 to 8, depending on the pair."
    )
    warm_up: float = Field(
        0.083,
        ge=0,
        le=1,
        description="Share of the training over which the review's weight rises from zero (20 of 240 epochs).",
    )
    hard_weight: float = hard_weight()
    student_taps: tuple[str, ...] = taps_field("student", "all")
    teacher_taps: tuple[str, ...] = taps_field("teacher", "all")


def pyramid_loss(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Hierarchical context loss (HCL): mean squared difference of the maps and of their averages over 4x4, 2x2 and
    1x1 places, where those are fewer, with weights 1, 1/2, 1/4 and 1/8, as a weighted mean.

    `student`, `teacher`: (B, C, H, W), of equal shape. Chen et al. 2021, section 3.
    """
    total, weights, weight = functional.mse_loss(student, teacher), 1.0, 1.0
    for side in PYRAMID:
        if side < student.shape[2]:
            weight /= 2
            own, other = (functional.adaptive_avg_pool2d(maps, side) for maps in (student, teacher))
            total = total + weight * functional.mse_loss(own, other)
            weights += weight
    return total / weights


@register(
    "method",
    "reviewkd",
    "Knowledge review: deeper stages of the student learn the teacher's earlier ones too",
    source="Chen et al. 2021, arXiv:2104.09044, section 3; weight as in mdistiller",
    options=Reviewkd,
    traits=MethodTraits(
        family="features",
        label="student, ReviewKD",
        role="distilled",
        taps=True,
        maps=True,
        labels="both",
    ),
)
class KnowledgeReview(Method[Reviewkd]):
    """`hard_weight * CE(student, labels) + review_weight * sum over stages of HCL(fused student, teacher)`.

    The averaged features of the last stage are one more, deepest stage, as in the authors' CIFAR code. Stages are
    taken after their activation.
    """

    def taps(self, student: nn.Module, teacher: nn.Module) -> Taps:
        self._taps = Taps(*matched_taps(student, teacher, (self.options.student_taps, self.options.teacher_taps)))
        return self._taps

    def prepare(self, student: nn.Module, teacher: nn.Module | None, example: StepInputs, images: int) -> nn.Module:
        from kdcore.distill.nets.review import Review

        need_maps(example.student_features, "student", "ReviewKD")
        need_maps(example.teacher_features, "teacher", "ReviewKD")
        own, other = self._stages(example)
        self._review = Review([maps.shape[1] for maps in own], [maps.shape[1] for maps in other])
        return self._review

    def loss(self, seen: StepInputs) -> dict[str, torch.Tensor]:
        own, other = self._stages(seen)
        fused = self._review(own, [maps.shape[2:] for maps in other])
        review = torch.stack([pyramid_loss(*pair) for pair in zip(fused, other, strict=True)]).sum()
        rising = self.options.warm_up * seen.steps
        share = min(1.0, (seen.step + 1) / rising) if rising else 1.0
        return {
            "hard": self.options.hard_weight * seen.label_loss(),
            "review": self.options.review_weight * share * review,
        }

    def _stages(self, seen: StepInputs) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        own = [seen.student_features[name] for name in self._taps.student]
        other = [seen.teacher_features[name] for name in self._taps.teacher]
        return _with_average(own), _with_average(other)


def _with_average(stages: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    return [*stages, embedding(stages[-1])[..., None, None]]
