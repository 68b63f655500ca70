"""SimKD: the student works for the teacher's own classifier (Chen et al. 2022)."""

from __future__ import annotations

from pydantic import Field

from kdcore import models
from kdcore.distill.features import hard_weight, last_tap, same_size
from kdcore.distill.method import Method, StepInputs, Taps, Unsuitable
from kdcore.distill.traits import MethodTraits
from kdcore.lazy import functional, nn, torch
from kdcore.registry import Options, by_options, register


class Simkd(Options):
    """Options of SimKD."""

    feature_weight: float = Field(
        1.0, gt=0, le=1e6, description="Weight of the feature loss, on the projected student features."
    )
    reduction: int = Field(
        2,
        ge=1,
        le=16,
        description="Reduction factor: how much narrower the projector is than the teacher's last stage.",
    )
    hard_weight: float = hard_weight(0.0)


def projection_loss(projected: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Mean squared difference of the projected student's maps and the teacher's, (B, C, ·, ·).

    Maps of unequal size are averaged down to the smaller. Chen et al. 2022, section 3.2.
    """
    return functional.mse_loss(*same_size(projected, teacher))


@register(
    "method",
    "simkd",
    "Reuse the teacher's classifier: the student learns the features for it",
    source="Chen et al. 2022, arXiv:2203.14001, section 3.2",
    version=2,
    options=Simkd,
    traits=MethodTraits(
        family="features",
        label="student, SimKD",
        role="distilled",
        taps=True,
        maps=True,
        borrows=by_options(lambda options: options.reduction),
        labels="both",
        formula=r"w_h\,\mathrm{CE}(y, p^s) + w_f\,\mathrm{MSE}(r(f^s), f^t) \\ z^s = C^t(r(f^s))",
        helps=(
            "Where the teacher's last features are good. The deployed student carries the projector r and the "
            "teacher's classifier C, so it is larger."
        ),
    ),
)
class ReusedClassifier(Method[Simkd]):
    """`hard_weight * CE(student, labels) + feature_weight * MSE(projector(student's maps), teacher's maps)`.

    The projector and the teacher's classifier, which is not trained, are part of the network that is deployed. As in
    the authors' code: a student with larger maps averages them down to the teacher's size before its projector, and
    MobileNets, ShuffleNetV2 and EfficientNets lose their last 1x1 convolution to it.
    """

    def begin(self, student: nn.Module, teacher: nn.Module | None) -> nn.Module:
        from kdcore.models.nets import projector

        if teacher is None:
            raise Unsuitable("SimKD reuses the teacher's classifier, but there is no teacher network")
        for network, whose in ((student, "student"), (teacher, "teacher")):
            try:
                projector.check(network)
            except ValueError as error:
                raise Unsuitable(f"SimKD cannot use this {whose}: {error}") from None
        joined = projector.between(student, teacher, self.options.reduction)
        models.head(joined).load_state_dict(models.head(teacher).state_dict())
        return joined

    def taps(self, student: nn.Module, teacher: nn.Module) -> Taps:
        self._teacher = last_tap(teacher, "auto", "teacher")
        return Taps(("projector",), (self._teacher,))

    def prepare(self, student: nn.Module, teacher: nn.Module | None, example: StepInputs, images: int) -> None:
        ours, theirs = example.student_features["projector"].shape[1], example.teacher_features[self._teacher].shape[1]
        if ours != theirs:
            raise Unsuitable(
                f"the student's projector has {ours} channels and the teacher's last stage {theirs}, as after "
                "pruning the projector: SimKD cannot compare them"
            )
        models.head(student).requires_grad_(False)

    def loss(self, seen: StepInputs) -> dict[str, torch.Tensor]:
        projected, other = seen.student_features["projector"], seen.teacher_features[self._teacher]
        return {
            "hard": self.options.hard_weight * seen.label_loss(),
            "features": self.options.feature_weight * projection_loss(projected, other),
        }
