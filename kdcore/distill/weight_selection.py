"""Weight selection: the student begins as a part of its teacher (Xu et al. 2024)."""

from __future__ import annotations

from pydantic import Field

from kdcore.distill.method import Method, StepInputs
from kdcore.distill.projection import Order, need_teacher, projection
from kdcore.distill.traits import MethodTraits
from kdcore.lazy import nn, torch
from kdcore.registry import Options, register


class WeightSelection(Options):
    """Options of weight selection; the defaults are the paper's."""

    layers: Order = Field(
        "first",
        description="Which of the teacher's blocks the student starts from in each stage, where the teacher has "
        "more: the first ones, or evenly spaced ones (as in DistilBERT).",
    )
    channels: Order = Field(
        "uniform",
        description="Which channels of each layer it starts from: evenly spaced ones (uniform), or the first ones.",
    )
    hard_weight: float = Field(1.0, gt=0, le=100, description="Weight of the labels (hard targets).")


@register(
    "method",
    "weight_selection",
    "Weight selection: start from a selection of the teacher's weights, then learn from the labels",
    source="Xu et al. 2024, arXiv:2311.18823, section 3; layers as in DistilBERT, Sanh et al. 2019, arXiv:1910.01108",
    version=2,
    options=WeightSelection,
    traits=MethodTraits(
        family="weights",
        label="student, weight selection",
        role="distilled",
        labels="both",
        answers=False,
        formula=r"w_h\,\mathrm{CE}(y, p^s), \quad W^s_0 = \text{selected layers and channels of } W^t",
        helps=(
            "Where teacher and student belong to one family: a better start costs nothing in training or deployment."
        ),
    ),
)
class SelectedWeights(Method[WeightSelection]):
    """`hard_weight * CE(student, labels)`, from a student whose first weights are chosen ones of its teacher's.

    The teacher is not run on any image: for that, combine this method with another. The channels
    are those that the authors' code selects. Theirs leaves the classifier as it is, because its teacher knows other
    classes; here it is taken over too, and so are batch norm's running statistics.
    """

    def begin(self, student: nn.Module, teacher: nn.Module | None) -> nn.Module:
        teacher = need_teacher(teacher, "weight selection")
        found = projection(student, teacher, self.options.layers, self.options.channels)
        student.load_state_dict(found, strict=False)
        return student

    def loss(self, seen: StepInputs) -> dict[str, torch.Tensor]:
        return {"hard": self.options.hard_weight * seen.label_loss()}
