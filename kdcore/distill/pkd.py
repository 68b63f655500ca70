"""Patient knowledge distillation: what stands for the text in the teacher's layers, and its outputs."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from kdcore.distill import blocks
from kdcore.distill.features import hard_weight
from kdcore.distill.kd import soft_targets
from kdcore.distill.method import Method, StepInputs, Taps, Unsuitable
from kdcore.distill.traits import MethodTraits
from kdcore.lazy import functional, nn, torch
from kdcore.registry import Options, register


class Pkd(Options):
    """Options of patient knowledge distillation."""

    layers: Literal["skip", "last"] = Field(
        "skip",
        description="Which of the teacher's layers the student's layers but its last learn from. Skip: every k-th; "
        "last: those before the teacher's last one.",
    )
    patience_weight: float = Field(
        100.0, gt=0, le=1e5, description="Weight of the layers (beta). The authors search 10, 100, 500 and 1000."
    )
    temperature: float = Field(10.0, ge=0.25, le=100, description="Temperature (T) of the soft targets.")
    soft_weight: float = Field(0.5, ge=0, le=100, description="Weight of the soft targets.")
    hard_weight: float = hard_weight(0.5)


def patience(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Mean squared difference of the states of M layers, each of unit length. Both (B, M, D).

    Sun et al. 2019, eq. 7, as a mean over all values as in the authors' code, where the paper has a sum.
    """
    return functional.mse_loss(functional.normalize(student, dim=2), functional.normalize(teacher, dim=2))


def taught(own: int, other: int, layers: str) -> list[int]:
    """The teacher's blocks, out of `other`, for each of the student's `own` but the last."""
    if layers == "skip":
        return blocks.partners(own, other)[:-1]
    return [other - own + place for place in range(own - 1)]


def _unfit(options: Any, student: Any, teacher: Any) -> str | None:
    own = blocks.sizes(student)
    if own and own.depth < 2:
        return "the student's last layer learns from no layer, and it has no other: give it two layers or more"
    return blocks.too_deep(student, teacher) or blocks.unequal(student, teacher, "dim", "the widths")


@register(
    "method",
    "pkd",
    "Patient distillation: each layer's state of the whole text, and soft targets",
    source="Sun et al. 2019, arXiv:1908.09355, eq. 4 to 8; intersun/PKD-for-BERT-Model-Compression",
    options=Pkd,
    traits=MethodTraits(
        family="features",
        label="student, PKD",
        short="PKD",
        role="distilled",
        taps=True,
        tokens=True,
        blocks=True,
        unfit=_unfit,
        mixup=False,
        formula=(
            r"w_h\,\mathrm{CE}(y, p^s) + w_s\,T^2\,\mathrm{KL}(p^t_T \,\|\, p^s_T) + w_p \sum_{m < M} "
            r"\mathrm{MSE}\!\left(\frac{h^s_m}{\| h^s_m \|}, \frac{h^t_{g(m)}}{\| h^t_{g(m)} \|}\right)"
        ),
        helps="For texts, with a student as wide as its teacher, of two layers or more.",
    ),
)
class PatientDistillation(Method[Pkd]):
    """`hard_weight * CE + soft_weight * T² * KL + patience_weight * MSE(states of unit length)`.

    As in the authors' code: one state a layer stands for the text, each of unit length; the student's last layer is
    left out, since its output is taught by soft targets; PKD-skip takes every k-th layer of the teacher, PKD-last those
    before its last one; the mean over texts, layers and values. The state is what the network itself reads for its
    answer: in a bert the first token's, as theirs; in a text_encoder the mean over the tokens that are no padding.

    Otherwise: soft targets are a batch mean, where theirs are divided by the number of classes too (with two classes
    their 0.7 is 0.35 here); weights sum to no fixed number; the student begins with its own weights, where theirs has
    the first layers of the pre-trained teacher. Where the teacher's layers are no multiple of the student's, k is
    rounded down.
    """

    def taps(self, student: nn.Module, teacher: nn.Module) -> Taps:
        own, other = blocks.paths(student, "student"), blocks.paths(teacher, "teacher")
        self._summaries = _summary(student, "student"), _summary(teacher, "teacher")
        self._taps = Taps(
            tuple(own[:-1]), tuple(other[place] for place in taught(len(own), len(other), self.options.layers))
        )
        return self._taps

    def loss(self, seen: StepInputs) -> dict[str, torch.Tensor]:
        options = self.options
        terms = {
            "hard": options.hard_weight * seen.label_loss(),
            "soft": options.soft_weight * soft_targets(seen.student, seen.teacher, options.temperature),
        }
        if self._taps.student:  # else all layers but the last were dropped
            terms["patience"] = options.patience_weight * patience(*self._states(seen))
        return terms

    def _states(self, seen: StepInputs) -> tuple[torch.Tensor, torch.Tensor]:
        """What stands for each text in the layers, (B, M, D), of student and teacher."""
        assert seen.known is not None
        known = seen.known.float()
        own, other = (
            torch.stack([summary(features[path], known) for path in paths], dim=1)
            for summary, features, paths in zip(
                self._summaries, (seen.student_features, seen.teacher_features), self._taps, strict=True
            )
        )
        if own.shape != other.shape:
            raise Unsuitable(
                f"states of {own.shape[2]} and {other.shape[2]} values cannot be compared: give the student its "
                "teacher's width"
            )
        return own, other


def _summary(network: nn.Module, whose: str) -> Any:
    """What makes one state of a layer's tokens. Raises Unsuitable."""
    found = getattr(getattr(network, "pool", None), "summary", None)
    if found is None:
        raise Unsuitable(f"the {whose} ({type(network).__name__}) has no state that stands for a text: choose minilm")
    return found
