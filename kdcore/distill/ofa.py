"""OFA-KD: one for all, between networks of different families (Hao et al. 2023)."""

from __future__ import annotations

from pydantic import Field

from kdcore.distill.features import hard_weight, matched_taps, taps_field
from kdcore.distill.method import Method, StepInputs, Taps, cross_entropy
from kdcore.distill.traits import MethodTraits
from kdcore.lazy import functional, nn, torch
from kdcore.registry import Options, register


class Ofa(Options):
    """Options of OFA-KD."""

    exit_weight: float = Field(
        1.0,
        ge=0,
        le=1e4,
        description="Weight of each exit: a small classifier on a stage of the student that learns the teacher's "
        "outputs. Exits are not deployed.",
    )
    soft_weight: float = Field(
        1.0, gt=0, le=100, description="Weight of the soft targets for the student's own output."
    )
    enhancement: float = Field(
        1.5,
        ge=1,
        le=5,
        description="Enhancement of the correct class over the teacher's probability. 1: none, plain soft targets.",
    )
    temperature: float = Field(
        1.0,
        ge=0.25,
        le=100,
        description="Temperature (T) of the soft targets. 1: unchanged; higher: softer.",
    )
    hard_weight: float = hard_weight()
    student_taps: tuple[str, ...] = taps_field("student", "all")


def enhanced_loss(
    student: torch.Tensor, teacher: torch.Tensor, right: torch.Tensor, enhancement: float, temperature: float = 1.0
) -> torch.Tensor:
    """Cross-entropy with weights ((1 + p)^e - 1) for the right class and p^e for the others, batch mean, in nats.

    `student`, `teacher`: logits (B, K). `right`: (B,) classes. p: the teacher's probabilities at T; e: `enhancement`,
    with 1 it is the cross-entropy with the teacher. Hao et al. 2023, the OFA loss with its exponent, in the form of the
    authors' code, where the label's own cross-entropy is a term apart.
    """
    mask = functional.one_hot(right, teacher.shape[1])
    probabilities = (teacher / temperature).softmax(dim=1)
    weights = (probabilities + mask) ** enhancement - mask
    return -(weights * functional.log_softmax(student / temperature, dim=1)).sum(dim=1).mean()


@register(
    "method",
    "ofa",
    "One for all: exits from every stage learn the teacher's outputs, across families",
    source="Hao et al. 2023, arXiv:2310.19444; enhancement as in the authors' ImageNet command",
    version=2,
    options=Ofa,
    traits=MethodTraits(
        family="features",
        label="student, OFA-KD",
        role="distilled",
        taps=True,
        inside=False,
        formula=(
            r"w_h\,\mathrm{CE}(y, p^s) + w_s\,e(p^s) + w_x \sum_{\text{exits}} e(p^x) \\ e(p) = -((1 + "
            r"p^t_y)^\gamma - 1) \log p_y \\ - \sum_{k \ne y} (p^t_k)^\gamma \log p_k"
        ),
        helps=(
            "For a teacher of another family, or a file that only answers: exits inside the student learn its "
            "outputs, and no feature of it is used."
        ),
    ),
)
class OneForAll(Method[Ofa]):
    """`hard_weight * CE(student, labels) + soft_weight * enhanced(student) + exit_weight * sum of enhanced(exits)`.

    Only the teacher's outputs are used, so any classifier can teach. The right class is the label's (of a mixed image
    the larger share) or, without one, the teacher's choice. The weights are the authors' defaults. Their exits are
    larger: of a network with convolutions, two separable ones for each stage that is left, which double the channels up
    to the wider of both networks' last stages, and a 1x1 convolution for the last stage; of a transformer, blocks of
    attention. An exit here has one separable convolution for each halving, to the last stage's channels.
    """

    def taps(self, student: nn.Module, teacher: nn.Module) -> Taps:
        self._names, _ = matched_taps(student, student, (self.options.student_taps, self.options.student_taps))
        return Taps(self._names)

    def prepare(self, student: nn.Module, teacher: nn.Module | None, example: StepInputs, images: int) -> nn.Module:
        from kdcore.distill.nets.exits import exits

        shapes = [tuple(example.student_features[name].shape[1:]) for name in self._names]
        self._exits = exits(shapes, example.student.shape[1])
        return self._exits

    def loss(self, seen: StepInputs) -> dict[str, torch.Tensor]:
        options = self.options
        right = torch.where(seen.targets.sum(dim=1) > 0, seen.targets.argmax(dim=1), seen.teacher.argmax(dim=1))
        early = [way(seen.student_features[name]) for name, way in zip(self._names, self._exits, strict=True)]
        soft, *others = (
            enhanced_loss(logits, seen.teacher, right, options.enhancement, options.temperature)
            for logits in (seen.student, *early)
        )
        return {
            "hard": options.hard_weight * cross_entropy(seen.student, seen.targets),
            "soft": options.soft_weight * soft,
            "exits": options.exit_weight * torch.stack(others).sum(),
        }
