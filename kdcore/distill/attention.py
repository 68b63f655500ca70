"""Attention transfer: where the network looks (Zagoruyko and Komodakis 2017)."""

from __future__ import annotations

from pydantic import Field

from kdcore.distill.features import hard_weight, matched_taps, need_maps, same_size, taps_field
from kdcore.distill.method import Method, StepInputs, Taps
from kdcore.distill.traits import MethodTraits
from kdcore.lazy import functional, nn, torch
from kdcore.registry import Options, register


class Attention(Options):
    """Options of attention transfer."""

    attention_weight: float = Field(
        1000.0,
        gt=0,
        le=1e7,
        description="Weight of the attention maps: how strongly the student matches the teacher's.",
    )
    power: float = Field(
        2.0,
        ge=1,
        le=8,
        description="Power of the activations before the mean over channels (p). Higher: strong ones count more.",
    )
    hard_weight: float = hard_weight()
    student_taps: tuple[str, ...] = taps_field("student", "all")
    teacher_taps: tuple[str, ...] = taps_field("teacher", "all")


def attention_map(features: torch.Tensor, power: float) -> torch.Tensor:
    """Where a network looks: mean over channels of |features|^power, of unit length. (B, C, H, W) to (B, H·W)."""
    return functional.normalize(features.abs().pow(power).mean(dim=1).flatten(1), dim=1)


def attention_loss(student: torch.Tensor, teacher: torch.Tensor, power: float = 2.0) -> torch.Tensor:
    """Mean squared difference of the attention maps. `student`, `teacher`: (B, ·, H, W); no matter their channels.

    Zagoruyko and Komodakis 2017, eq. 2, with the mean of the squares as in the authors' code, whose weight is the
    default. Maps of unequal size are averaged down to the smaller.
    """
    own, other = same_size(student, teacher)
    return functional.mse_loss(attention_map(own, power), attention_map(other, power))


@register(
    "method",
    "attention",
    "Attention transfer: match the teacher's spatial attention maps",
    source="Zagoruyko and Komodakis 2017, arXiv:1612.03928, eq. 2",
    options=Attention,
    traits=MethodTraits(
        family="features",
        label="student, attention transfer",
        role="distilled",
        taps=True,
        maps=True,
        labels="both",
        formula=(
            r"w_h\,\mathrm{CE}(y, p^s) + w_a \sum_{\text{stages}} \mathrm{MSE}(a(f^s), a(f^t)) \\ a(f) = "
            r"\frac{\sum_c |f_c|^p}{\| \sum_c |f_c|^p \|}"
        ),
        helps=(
            "For convolutional networks of one family; the number of channels may differ, since maps are averaged "
            "over them."
        ),
    ),
)
class AttentionTransfer(Method[Attention]):
    """`hard_weight * CE(student, labels) + attention_weight * sum over stages of MSE(attention maps)`."""

    def taps(self, student: nn.Module, teacher: nn.Module) -> Taps:
        self._taps = Taps(*matched_taps(student, teacher, (self.options.student_taps, self.options.teacher_taps)))
        return self._taps

    def prepare(self, student: nn.Module, teacher: nn.Module | None, example: StepInputs, images: int) -> None:
        need_maps(example.student_features, "student", "attention transfer")
        need_maps(example.teacher_features, "teacher", "attention transfer")

    def loss(self, seen: StepInputs) -> dict[str, torch.Tensor]:
        parts = [
            attention_loss(seen.student_features[own], seen.teacher_features[other], self.options.power)
            for own, other in zip(*self._taps, strict=True)
        ]
        return {
            "hard": self.options.hard_weight * seen.label_loss(),
            "attention": self.options.attention_weight * torch.stack(parts).sum(),
        }
