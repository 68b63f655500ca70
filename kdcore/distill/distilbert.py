"""DistilBERT's recipe: every k-th layer of the teacher, soft targets, labels, and the angle of the hidden states."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from kdcore.distill import blocks
from kdcore.distill.features import hard_weight, last_stage
from kdcore.distill.kd import soft_targets
from kdcore.distill.method import Method, StepInputs, Taps, Unsuitable
from kdcore.distill.projection import need_teacher, projection
from kdcore.distill.traits import MethodTraits
from kdcore.lazy import functional, nn, torch
from kdcore.registry import Options, register


class DistilBert(Options):
    """Options of DistilBERT's recipe; weights and temperature are those of the authors' command for DistilBERT."""

    temperature: float = Field(2.0, ge=0.25, le=100, description="Temperature (T) of the soft targets.")
    soft_weight: float = Field(5.0, ge=0, le=100, description="Weight of the soft targets.")
    hard_weight: float = hard_weight(2.0)
    hidden_weight: float = Field(
        1.0, ge=0, le=100, description="Weight of the angle between the last hidden states of student and teacher."
    )


def angles(student: torch.Tensor, teacher: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """1 - cos of the angle between hidden states (B, L, D), mean over the tokens that are `known`, bool (B, L).

    The authors' CosineEmbeddingLoss with target 1 over the selected tokens of a batch (reduction "mean").
    """
    return (1 - functional.cosine_similarity(student, teacher, dim=2))[known].mean()


def _unfit(options: Any, student: Any, teacher: Any) -> str | None:
    return blocks.too_deep(student, teacher) or blocks.unequal(student, teacher, "dim", "the widths")


@register(
    "method",
    "distilbert",
    "DistilBERT: every k-th layer of the teacher, soft targets, labels, and hidden states of the same direction",
    source="Sanh et al. 2019, arXiv:1910.01108, section 3; transformers, examples/research_projects/distillation",
    options=DistilBert,
    traits=MethodTraits(
        family="weights",
        label="student, DistilBERT",
        short="DistilBERT",
        role="distilled",
        taps=True,
        tokens=True,
        unfit=_unfit,
        mixup=False,
        formula=(
            r"w_h\,\mathrm{CE}(y, p^s) + w_s\,T^2\,\mathrm{KL}(p^t_T \,\|\, p^s_T) + w_c\,(1 - \cos(h^s, h^t)), "
            r"\quad W^s_0 = \text{every } k\text{-th layer of } W^t"
        ),
        helps="For texts, with a student as wide as its teacher and half or a third as deep.",
    ),
)
class DistilBertRecipe(Method[DistilBert]):
    """`hard_weight * CE + soft_weight * T² * KL + hidden_weight * (1 - cos)` from evenly spaced layers of the teacher.

    As in the authors' code: the sum of the three terms, T² on the soft targets, the cosine of the last layer's hidden
    states at every token that is no padding, and the weights 5, 2 and 1 at temperature 2 of the command in their README
    (`alpha_ce`, `alpha_mlm`, `alpha_cos`; the 2 is theirs for masked words). Embeddings and the layers taken over are
    the teacher's.

    Otherwise: they distil in pre-training, where soft targets and labels are words at masked places of a large corpus;
    here both are the classes of the task, with the fine-tuned teacher, so pooler and classifier are taken over too.
    Their script takes layers 0, 2, 4, 7, 9 and 11 of 12; here they are evenly spaced from the first one on (0, 3 of 6).
    Their student has no embedding of the kind of text and no pooler, and trains with dropout.
    """

    def begin(self, student: nn.Module, teacher: nn.Module | None) -> nn.Module:
        teacher = need_teacher(teacher, "DistilBERT")
        student.load_state_dict(projection(student, teacher, "uniform", "first"), strict=False)
        return student

    def taps(self, student: nn.Module, teacher: nn.Module) -> Taps:
        self._student = last_stage(student, "", "student")
        self._teacher = last_stage(teacher, "", "teacher")
        return Taps((self._student,), (self._teacher,))

    def loss(self, seen: StepInputs) -> dict[str, torch.Tensor]:
        options = self.options
        own, hidden = seen.student_features[self._student], seen.teacher_features[self._teacher]
        if own.shape != hidden.shape or seen.known is None:
            raise Unsuitable(
                f"hidden states of {own.shape[-1]} and {hidden.shape[-1]} values have no angle: give the student its "
                "teacher's width"
            )
        return {
            "hard": options.hard_weight * seen.label_loss(),
            "soft": options.soft_weight * soft_targets(seen.student, seen.teacher, options.temperature),
            "hidden": options.hidden_weight * angles(own, hidden, seen.known),
        }
