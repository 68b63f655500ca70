"""FitNets: hints from a middle stage of the teacher (Romero et al. 2015)."""

from __future__ import annotations

from pydantic import Field

from kdcore.distill.features import embedding, hard_weight, middle_tap, same_size, tap_field
from kdcore.distill.method import Method, StepInputs, Taps
from kdcore.distill.traits import MethodTraits
from kdcore.lazy import functional, nn, torch
from kdcore.registry import Options, register


class Fitnets(Options):
    """Options of FitNets' hints."""

    hint_weight: float = Field(
        100.0, gt=0, le=1e6, description="Weight of the hint loss, on the features of the chosen stages."
    )
    hard_weight: float = hard_weight()
    student_tap: str = tap_field("student", "the middle one")
    teacher_tap: str = tap_field("teacher", "the middle one")


def hint_loss(regressed: torch.Tensor, hint: torch.Tensor) -> torch.Tensor:
    """Mean squared difference of what the regressor makes of the student's features, and the teacher's.

    Both of one shape, (B, C, H, W) or (B, F). Romero et al. 2015, eq. 3, as a mean over all values instead of half
    the sum, as in RepDistiller, whose weight is the default.
    """
    return functional.mse_loss(regressed, hint)


@register(
    "method",
    "fitnets",
    "Hints: a middle stage learns to predict the teacher's features",
    source="Romero et al. 2015, arXiv:1412.6550, eq. 3; regressor and weight as in RepDistiller (Tian et al. 2020)",
    version=2,
    options=Fitnets,
    traits=MethodTraits(
        family="features",
        label="student, FitNets hints",
        role="distilled",
        taps=True,
        labels="both",
        formula=r"w_h\,\mathrm{CE}(y, p^s) + w_f\,\mathrm{MSE}(r(f^s), f^t)",
        helps=(
            "Where teacher and student have similar stages. The regressor r, which is not deployed, bridges "
            "different numbers of channels."
        ),
    ),
)
class FitnetsHints(Method[Fitnets]):
    """`hard_weight * CE(student, labels) + hint_weight * MSE(regressor(student's stage), teacher's stage)`.

    Hints and labels are learnt together, as in RepDistiller, not one after the other as in the paper. The regressor is
    RepDistiller's: a convolution (3x3 with stride 2 where the student's maps are twice as large, a transposed 4x4 one
    where they are half as large, else 1x1), batch norm, ReLU. Beyond it: maps of other sizes are averaged down to the
    smaller first; where one network has vectors, maps are averaged over all places, and the regressor is a linear
    layer and batch norm, because a stage of vectors may end without a ReLU.
    """

    def taps(self, student: nn.Module, teacher: nn.Module) -> Taps:
        self._student = middle_tap(student, self.options.student_tap, "student")
        self._teacher = middle_tap(teacher, self.options.teacher_tap, "teacher")
        return Taps((self._student,), (self._teacher,))

    def prepare(self, student: nn.Module, teacher: nn.Module | None, example: StepInputs, images: int) -> nn.Module:
        from kdcore.distill.nets.regressor import regressor

        own, hint = self._comparable(example)
        self._regressor = regressor(tuple(own.shape[1:]), tuple(hint.shape[1:]))
        return self._regressor

    def loss(self, seen: StepInputs) -> dict[str, torch.Tensor]:
        own, hint = self._comparable(seen)
        return {
            "hard": self.options.hard_weight * seen.label_loss(),
            "hints": self.options.hint_weight * hint_loss(self._regressor(own), hint),
        }

    def _comparable(self, seen: StepInputs) -> tuple[torch.Tensor, torch.Tensor]:
        """Both networks' features, as the regressor takes and gives them."""
        from kdcore.distill.nets.regressor import halves

        own, hint = seen.student_features[self._student], seen.teacher_features[self._teacher]
        if not own.ndim == hint.ndim == 4:
            return embedding(own), embedding(hint)
        resized = halves(own.shape, hint.shape) or halves(hint.shape, own.shape)
        return (own, hint) if resized else same_size(own, hint)
