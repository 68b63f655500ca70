"""The control without a teacher: label smoothing, as distillation from a hand-made teacher (Tf-KD)."""

from __future__ import annotations

from pydantic import Field

from kdcore.distill.method import Method, StepInputs, cross_entropy
from kdcore.distill.traits import MethodTraits
from kdcore.lazy import functional, torch
from kdcore.registry import Options, register


class LabelSmoothing(Options):
    """Options of teacher-free distillation; the defaults are the authors' for ResNet-18 on CIFAR-100."""

    correct: float = Field(
        0.99,
        gt=0,
        lt=1,
        description="Confidence of the hand-made teacher in the correct class; the others share the rest.",
    )
    temperature: float = Field(
        20.0, ge=0.25, le=1000, description="Temperature (T) of the hand-made teacher. High: almost uniform."
    )
    hard_weight: float = Field(0.9, ge=0, le=100, description="Weight of the labels (hard targets).")
    smooth_weight: float = Field(0.1, gt=0, le=100, description="Weight of the hand-made teacher.")


def handmade(targets: torch.Tensor, correct: float, temperature: float) -> torch.Tensor:
    """Log-probabilities (B, K) of a teacher that gives the right class `correct` and the others equal shares.

    Yuan et al. 2020, eq. 8, softened as in the authors' code: a softmax of these probabilities over T. `targets`:
    (B, K); mixed labels make a mixed teacher.
    """
    share = (1 - correct) / (targets.shape[1] - 1)
    return functional.log_softmax((share + (correct - share) * targets) / temperature, dim=1)


def smoothing(student: torch.Tensor, targets: torch.Tensor, correct: float, temperature: float) -> torch.Tensor:
    """KL(hand-made teacher ‖ student), mean over the labelled part of the batch; 0 when nothing in it is labelled.

    Yuan et al. 2020, eq. 9; the student is not softened, as in the authors' code for CIFAR-100. Theirs is a mean over
    the classes too, times 100 for ResNet-18, which is the same. `student`: logits (B, K). `targets`: (B, K), a row of
    zeros has no label and does not count.
    """
    log_student = functional.log_softmax(student, dim=1)
    log_teacher = handmade(targets, correct, temperature)
    divergences = functional.kl_div(log_student, log_teacher, reduction="none", log_target=True).sum(dim=1)
    labelled = targets.sum(dim=1)
    return (labelled * divergences).sum() / labelled.sum().clamp(min=1e-6)


@register(
    "method",
    "label_smoothing",
    "Control: smoothed labels, as from a teacher that knows only the correct class",
    source="Yuan et al. 2020 (Tf-KD), arXiv:1909.11723, eq. 8 and 9",
    options=LabelSmoothing,
    traits=MethodTraits(
        family="controls",
        label="student on smoothed labels",
        short="smoothed labels",
        role="smoothed",
        teacher=False,
        formula=(
            r"w_h\,\mathrm{CE}(y, p^s) + w_m\,\mathrm{KL}(u \,\|\, p^s) \\ u = \mathrm{softmax}(q / T), \; q_y = "
            r"c, \; q_{k \ne y} = \tfrac{1 - c}{K - 1}"
        ),
        helps="As a control: it regularises like soft targets, but knows nothing of which classes are alike.",
    ),
)
class TeacherFree(Method[LabelSmoothing]):
    """`hard_weight * CE(student, labels) + smooth_weight * KL(hand-made teacher ‖ student)`."""

    def loss(self, seen: StepInputs) -> dict[str, torch.Tensor]:
        options = self.options
        smoothed = smoothing(seen.student, seen.targets, options.correct, options.temperature)
        return {
            "hard": options.hard_weight * cross_entropy(seen.student, seen.targets),
            "smooth": options.smooth_weight * smoothed,
        }
