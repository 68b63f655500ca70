"""Contrastive representation distillation (Tian, Krishnan and Isola 2020)."""

from __future__ import annotations

import math

from pydantic import Field

from kdcore.distill.features import Embeddings, hard_weight, tap_field
from kdcore.distill.method import StepInputs, Unsuitable, cross_entropy
from kdcore.distill.traits import MethodTraits
from kdcore.lazy import functional, nn, torch
from kdcore.registry import Options, register


class Crd(Options):
    """Options of contrastive distillation."""

    contrast_weight: float = Field(
        0.8,
        gt=0,
        le=1e4,
        description="Weight of the contrastive loss: an example's features in both networks are pulled together, those"
        " of other classes' examples pushed apart.",
    )
    negatives: int = Field(
        16_384,
        ge=1,
        le=65_536,
        description="Negative samples per example, from other classes (NCE's k); at most as many as there are.",
    )
    dimensions: int = Field(128, ge=2, le=2048, description="Dimension of the space in which features are compared.")
    contrast_temperature: float = Field(
        0.07, ge=0.01, le=10, description="Temperature of the contrast; lower separates near misses more strongly."
    )
    momentum: float = Field(
        0.5, ge=0, lt=1, description="Momentum of the memory bank: how slowly an example's features follow new ones."
    )
    hard_weight: float = hard_weight()
    student_tap: str = tap_field("student", "the last")
    teacher_tap: str = tap_field("teacher", "the last")


def contrastive_loss(positive: torch.Tensor, negatives: torch.Tensor, images: int) -> torch.Tensor:
    """Noise-contrastive estimation: mean over images of -log h(positive) - sum of log(1 - h(negatives)).

    `positive` (B,), `negatives` (B, k): log scores, similarity over temperature less log Z.
    h = e^score / (e^score + k / images). Tian et al. 2020, section 3.1.
    """
    noise = math.log(negatives.shape[1] / images)
    return functional.softplus(noise - positive).mean() + functional.softplus(negatives - noise).sum(dim=1).mean()


@register(
    "method",
    "crd",
    "Contrastive: pull an example's features in both networks together",
    source="Tian et al. 2020, arXiv:1910.10699, section 3.1",
    options=Crd,
    traits=MethodTraits(
        family="features",
        label="student, CRD",
        role="distilled",
        taps=True,
        mixup=False,
        formula=(
            r"w_h\,\mathrm{CE}(y, p^s) + \\ w_c \left[ \mathrm{NCE}(g(f^s), g(f^t)) + \mathrm{NCE}(g(f^t), g(f^s)) "
            r"\right]"
        ),
        helps=(
            "With many examples and a long training: each example is distinguished from thousands of others, which a "
            "memory bank holds."
        ),
    ),
)
class Contrastive(Embeddings[Crd]):
    """`hard_weight * CE(student, labels) + contrast_weight * (NCE around the student + NCE around the teacher)`.

    Negatives are images of other classes (the authors' "exact" sampling). An image's class is its label or, without
    one, the teacher's choice when it was last seen; images not seen yet count as of another class.
    """

    def prepare(self, student: nn.Module, teacher: nn.Module | None, example: StepInputs, images: int) -> nn.Module:
        from kdcore.distill.nets.contrast import Contrast

        if images < 2:
            raise Unsuitable("contrastive distillation compares examples with each other: at least 2 are needed")
        own, other = self.embeddings(example)
        self._contrast = Contrast(own.shape[1], other.shape[1], self.options.dimensions, images)
        return self._contrast

    def loss(self, seen: StepInputs) -> dict[str, torch.Tensor]:
        assert seen.indices is not None
        options, contrast = self.options, self._contrast
        own, other = contrast(*self.embeddings(seen))
        chosen = torch.where(seen.targets.sum(dim=1) > 0, seen.targets.argmax(dim=1), seen.teacher.argmax(dim=1))
        contrast.classes[seen.indices] = chosen
        count = min(options.negatives, len(contrast.classes) - 1)
        generator = torch.Generator(own.device).manual_seed(seen.seed)
        drawn = torch.cat([seen.indices[:, None], contrast.negatives(chosen, count, generator)], dim=1)
        around_student = self._nce(0, own, drawn)
        around_teacher = self._nce(1, other, drawn)
        contrast.remember(seen.indices, own, other, options.momentum)
        return {
            "hard": options.hard_weight * cross_entropy(seen.student, seen.targets),
            "contrast": options.contrast_weight * (around_student + around_teacher),
        }

    def _nce(self, side: int, anchors: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
        """Anchors of one network (0 student, 1 teacher) among what the memory knows of the other."""
        bank = self._contrast.banks[1 - side].clone()  # the memory changes before the gradient is taken
        scores = (anchors @ bank.T).gather(1, drawn) / self.options.contrast_temperature
        scores = scores - self._contrast.normalisation(side, scores)
        return contrastive_loss(scores[:, 0], scores[:, 1:], len(bank))
