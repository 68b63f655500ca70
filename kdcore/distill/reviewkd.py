"""Knowledge review: each stage of the teacher reviewed by all deeper stages of the student (Chen et al. 2021)."""

from __future__ import annotations

from pydantic import Field

from kdcore import models
from kdcore.distill.features import AUTO, embedding, hard_weight, last_tap, matched_taps, need_maps, taps_field
from kdcore.distill.method import Method, StepInputs, Taps
from kdcore.distill.traits import MethodTraits
from kdcore.lazy import functional, nn, torch
from kdcore.registry import Options, register

PYRAMID = (4, 2, 1)  # pixels a side


class Reviewkd(Options):
    """Options of knowledge review."""

    review_weight: float = Field(
        5.0,
        gt=0,
        le=1e4,
        description="Weight of the review loss. The authors use 5 for most CIFAR pairs, 0.6 to 8 for others.",
    )
    warm_up: float = Field(
        20 / 240,
        ge=0,
        le=1,
        description="Share of training over which the review's weight rises from zero (20 of 240 epochs).",
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
    "Knowledge review: deeper stages of the student also learn the teacher's earlier stages",
    source="Chen et al. 2021, arXiv:2104.09044, section 3; weight of the authors' CIFAR-100 commands",
    version=2,
    options=Reviewkd,
    traits=MethodTraits(
        family="features",
        label="student, ReviewKD",
        role="distilled",
        taps=True,
        maps=True,
        labels="both",
        formula=r"w_h\,\mathrm{CE}(y, p^s) + w_r \sum_{\text{stages}} \mathrm{HCL}(\text{fused } f^s, f^t)",
        helps=(
            "For convolutional networks with several stages: deeper stages of the student also learn the "
            "teacher's earlier ones, at several resolutions."
        ),
    ),
)
class KnowledgeReview(Method[Reviewkd]):
    """`hard_weight * CE(student, labels) + review_weight * sum over stages of HCL(fused student, teacher)`.

    As in the authors' CIFAR code: what the classifier is given (the penultimate features) is one more, deepest stage;
    the teacher's other stages are taken before their activation, the student's after it. The weight rises with each
    step, theirs with each epoch.
    """

    def taps(self, student: nn.Module, teacher: nn.Module) -> Taps:
        own, other = matched_taps(student, teacher, (self.options.student_taps, self.options.teacher_taps))
        before = [f"{name}{models.BEFORE_ACTIVATION}" for name in other]
        self._stages = Taps(own, tuple(before))
        self._deepest = last_tap(student, AUTO, "student"), last_tap(teacher, AUTO, "teacher")
        return Taps((*own, self._deepest[0]), (*before, self._deepest[1]))

    def prepare(self, student: nn.Module, teacher: nn.Module | None, example: StepInputs, images: int) -> nn.Module:
        from kdcore.distill.nets.review import Review

        need_maps({name: example.student_features[name] for name in self._stages.student}, "student", "ReviewKD")
        need_maps({name: example.teacher_features[name] for name in self._stages.teacher}, "teacher", "ReviewKD")
        own, other = self._compared(example)
        self._review = Review([maps.shape[1] for maps in own], [maps.shape[1] for maps in other])
        return self._review

    def loss(self, seen: StepInputs) -> dict[str, torch.Tensor]:
        own, other = self._compared(seen)
        fused = self._review(own, [maps.shape[2:] for maps in other])
        review = torch.stack([pyramid_loss(*pair) for pair in zip(fused, other, strict=True)]).sum()
        rising = self.options.warm_up * seen.steps
        share = min(1.0, (seen.step + 1) / rising) if rising else 1.0
        return {
            "hard": self.options.hard_weight * seen.label_loss(),
            "review": self.options.review_weight * share * review,
        }

    def _compared(self, seen: StepInputs) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """The stages of the student and of the teacher, first to last, each with the penultimate features."""
        sides = zip((seen.student_features, seen.teacher_features), self._stages, self._deepest, strict=True)
        own, other = ([*(found[name] for name in names), _places(found[deepest])] for found, names, deepest in sides)
        return own, other


def _places(features: torch.Tensor) -> torch.Tensor:
    """One vector an image, as a map of one place: (B, C, 1, 1)."""
    return embedding(features)[..., None, None]
