"""Decoupled knowledge distillation: the right class and the others, each with its own weight (Zhao et al. 2022)."""

from __future__ import annotations

from typing import NamedTuple

from pydantic import Field

from kdcore.distill.method import Method, StepInputs, cross_entropy
from kdcore.distill.standardize import HELP, label, standardized
from kdcore.distill.traits import MethodTraits
from kdcore.lazy import functional, torch
from kdcore.registry import Options, Searched, register


class Dkd(Options):
    """Options of decoupled knowledge distillation; the defaults are the authors' for resnet32x4 -> resnet8x4."""

    temperature: float = Field(4.0, ge=0.25, le=100, description="Temperature (T) of the soft targets.")
    hard_weight: float = Field(1.0, ge=0, le=100, description="Weight of the labels (hard targets).")
    target_weight: float = Field(1.0, ge=0, le=100, description="Weight of the target-class term (alpha in the paper).")
    other_weight: float = Field(
        8.0,
        gt=0,
        le=100,
        description="Weight of the non-target-class term (beta in the paper), higher for a more confident teacher: 8"
        " for resnet32x4 -> resnet8x4, 6 for WRN and VGG, 2 for resnet56 -> resnet20.",
    )
    warmup: float = Field(
        20 / 240,
        ge=0,
        le=1,
        description="Share of training over which the distillation weight rises from 0. The paper: 20 of 240 epochs.",
    )
    standardize: bool = Field(
        False,
        description=f"{HELP}Its authors take temperature 2, target weight 9 and other weight 72 with it for "
        "resnet32x4 -> resnet8x4 (Sun et al. 2024).",
    )


class Decoupled(NamedTuple):
    """The two terms of the loss, scalars in nats, each with its factor T²."""

    target: torch.Tensor
    other: torch.Tensor


def target_classes(targets: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """The class (B,) that counts as right: the label's, the larger one's where two are mixed.

    An image of which less than half is labelled takes the class that the teacher chooses.
    `targets`: (B, K), rows that sum to 1 at most. `teacher`: logits (B, K).
    """
    labelled = targets.sum(dim=1) >= 0.5
    return torch.where(labelled, targets.argmax(dim=1), teacher.argmax(dim=1))


def decoupled(student: torch.Tensor, teacher: torch.Tensor, classes: torch.Tensor, temperature: float) -> Decoupled:
    """Zhao et al. 2022, eq. 6: T² · KL, batch mean, of two distributions of the teacher to the student's.

    `student`, `teacher`: logits (B, K). `classes`: (B,), the right class. "target": the right class against all the
    others together. "other": the wrong classes alone. Plain distillation is target + (1 - p) · other, with p the
    teacher's softened probability of the right class.
    """
    log_student = functional.log_softmax(student / temperature, dim=1)
    log_teacher = functional.log_softmax(teacher / temperature, dim=1)
    own = classes.unsqueeze(1)
    count = student.shape[1]
    rest = (own + torch.arange(1, count, device=student.device)) % count  # (B, K - 1), without a mask's sync
    target = _divergence(_binary(log_student, own, rest), _binary(log_teacher, own, rest))
    other = _divergence(
        functional.log_softmax(log_student.gather(1, rest), dim=1),
        functional.log_softmax(log_teacher.gather(1, rest), dim=1),
    )
    return Decoupled(target * temperature**2, other * temperature**2)


def _binary(log_all: torch.Tensor, own: torch.Tensor, rest: torch.Tensor) -> torch.Tensor:
    """Log-probabilities (B, 2) of the right class, and of the others together."""
    return torch.cat([log_all.gather(1, own), log_all.gather(1, rest).logsumexp(dim=1, keepdim=True)], dim=1)


def _divergence(log_student: torch.Tensor, log_teacher: torch.Tensor) -> torch.Tensor:
    return functional.kl_div(log_student, log_teacher, reduction="batchmean", log_target=True)


@register(
    "method",
    "dkd",
    "Decoupled distillation: separate weights for the target class and the other classes",
    source="Zhao et al. 2022, arXiv:2203.08679, eq. 6 and 7",
    options=Dkd,
    traits=MethodTraits(
        family="responses",
        label=label("student, DKD"),
        role="distilled",
        standardize=True,
        search=(
            Searched("temperature", 1, 16, log=True),
            Searched("other_weight", 1, 10, log=True),
        ),
        formula=(
            r"w_h\,\mathrm{CE}(y, p^s) + \\ T^2 \left[ \alpha\,\mathrm{KL}(b^t_T \,\|\, b^s_T) + "
            r"\beta\,\mathrm{KL}(\hat p^t_T \,\|\, \hat p^s_T) \right] \\ b = (p_y, 1 - p_y), \; \hat p = p_{k \ne "
            r"y} / (1 - p_y)"
        ),
        helps=(
            "With a confident teacher: plain soft targets weight the other classes by 1 - p of the target class, "
            "which is then nearly 0."
        ),
    ),
)
class DecoupledDistillation(Method[Dkd]):
    """`hard_weight * CE(student, labels) + rise * (target_weight * target + other_weight * other)`.

    `rise` grows with each step of the warm-up, in the authors' code with each epoch.
    """

    def loss(self, seen: StepInputs) -> dict[str, torch.Tensor]:
        options, student, teacher = self.options, seen.student, seen.teacher
        classes = target_classes(seen.targets, teacher)
        if options.standardize:
            student, teacher = standardized(student), standardized(teacher)
        terms = decoupled(student, teacher, classes, options.temperature)
        rise = self._rise(seen)
        return {
            "hard": options.hard_weight * cross_entropy(seen.student, seen.targets),
            "target": rise * options.target_weight * terms.target,
            "other": rise * options.other_weight * terms.other,
        }

    def _rise(self, seen: StepInputs) -> float:
        steps = self.options.warmup * seen.steps
        return min(1.0, (seen.step + 1) / steps) if steps else 1.0
