"""A pull of the student's weights towards a selection of its teacher's."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from kdcore.distill.method import Method, StepInputs
from kdcore.distill.projection import Order, need_teacher, projection
from kdcore.distill.traits import MethodTraits
from kdcore.lazy import nn, torch
from kdcore.registry import Options, register


class WeightPull(Options):
    """Options of the pull."""

    weight: float = Field(
        0.1,
        gt=0,
        le=1000,
        description="Strength of the pull towards the teacher's weights. Above about 10 the labels hardly count; 0.1"
        " was chosen on digits by test accuracy.",
    )
    layers: Order = Field(
        "first",
        description="Which of the teacher's blocks are used at each stage, where the teacher has more: the first "
        "ones, or evenly spaced ones.",
    )
    channels: Order = Field(
        "uniform",
        description="Which channels of each of the teacher's layers are used: evenly spaced ones, or the first.",
    )
    hard_weight: float = Field(1.0, ge=0, le=100, description="Weight of the labels (hard targets).")


def pull(weights: Iterable[torch.Tensor], anchors: Iterable[torch.Tensor]) -> torch.Tensor:
    """Half the sum of squared differences between weights and the anchors that they are pulled to, in pairs.

    The penalty of L2-SP (Li et al. 2018, eq. 2), whose anchors are the weights that training started from.
    """
    return (
        torch.stack([(weight - anchor).square().sum() for weight, anchor in zip(weights, anchors, strict=True)]).sum()
        / 2
    )


@register(
    "method",
    "weight_pull",
    "Weight pull: learn from the labels, with the weights pulled towards a selection of the teacher's",
    source="the penalty of L2-SP, Li et al. 2018, arXiv:1802.01483, towards the selection of Xu et al. 2024, "
    "arXiv:2311.18823; no paper has just this (Weight Distillation, Lin et al. 2021, arXiv:2009.09152, learns its "
    "projection)",
    version=2,
    options=WeightPull,
    traits=MethodTraits(
        family="weights",
        label="student, weight pull",
        role="distilled",
        labels="both",
        answers=False,
        pulls=True,
        formula=r"w_h\,\mathrm{CE}(y, p^s) + \tfrac{w}{2}\,\| W^s - W^t_{\text{selected}} \|^2",
        helps=(
            "Where teacher and student belong to one family and labels are few: the weights stay near the "
            "teacher's. The teacher is not run."
        ),
    ),
)
class PulledWeights(Method[WeightPull]):
    """`hard_weight * CE(student, labels) + weight * |student's weights - selected weights of the teacher|² / 2`.

    The teacher is not run on any image. The projection is a fixed choice of layers and channels, nothing learnt;
    running statistics are left alone. A network that did not begin here is not pulled: in a student that was pruned
    the channels are no longer those that were chosen.
    """

    def __init__(self, options: WeightPull):
        super().__init__(options)
        self._teacher: nn.Module | None = None
        self._weights: list[torch.Tensor] = []
        self._anchors: nn.Module | None = None

    def begin(self, student: nn.Module, teacher: nn.Module | None) -> nn.Module:
        self._teacher = need_teacher(teacher, "the weight pull")
        projection(student, self._teacher, self.options.layers, self.options.channels)  # refuses now what it cannot do
        return student

    def prepare(
        self, student: nn.Module, teacher: nn.Module | None, example: StepInputs, images: int
    ) -> nn.Module | None:
        if self._teacher is None:
            return None
        # The teacher as it began: the one that is asked may have its batch norms folded.
        found = projection(student, self._teacher, self.options.layers, self.options.channels)
        parameters = dict(student.named_parameters())
        names = [name for name in found if name in parameters]
        self._weights = [parameters[name] for name in names]
        self._anchors = nn.Module()
        for place, name in enumerate(names):
            self._anchors.register_buffer(str(place), found[name], persistent=False)  # known without a checkpoint
        return self._anchors

    def loss(self, seen: StepInputs) -> dict[str, torch.Tensor]:
        terms = {"hard": self.options.hard_weight * seen.label_loss()}
        if self._anchors is not None:
            terms["pull"] = self.options.weight * pull(self._weights, self._anchors.buffers())
        return terms
