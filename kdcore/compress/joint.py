"""Pruning, quantization and distillation in one training, instead of one after another."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from kdcore.compress import qat
from kdcore.compress.step import StepInput, StepResult
from kdcore.compress.tools.finetune import Finetune
from kdcore.compress.tools.gradual import Gradual, PruningSchedule
from kdcore.compress.tools.masks import zeros
from kdcore.compress.tools.recalibrate import recalibrate
from kdcore.compress.traits import StepTraits
from kdcore.inputs import EVERY
from kdcore.lazy import nn, torch
from kdcore.registry import by_options, register


class Joint(qat.Trained):
    """Options of pruning and quantization in one training."""

    ratio: float = Field(0.7, gt=0, le=0.99, description="Share of the weights to set to zero, smallest first.")
    begin: float = Field(0.0, ge=0, le=0.9, description="Share of training before the first weights are pruned.")
    end: float = Field(0.75, gt=0, le=1, description="Share of training after which the last weights are pruned.")
    finetune: Finetune = Field(
        Finetune(steps=300, learning_rate=0.002),
        description="The joint training: quantization-aware with gradual pruning, by the teacher or on labels alone.",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not self.finetune.steps:
            raise ValueError("pruning happens during training: set finetune.steps")
        if self.end <= self.begin:
            raise ValueError("the last pruning must come after the first: set end above begin")
        return self


def _label(options: Joint) -> str:
    return f"{100 * options.ratio:g} % zeros and W{options.weight_bits}A{options.activation_bits}, jointly"


@register(
    "step",
    "joint",
    "Zeros and few bits learned in one training with the teacher, instead of pruning and then QAT",
    version=3,
    source="pruning and quantization in one training: CLIP-Q, Tung & Mori 2018 (CVPR); here by a cubic "
    "course (Zhu & Gupta 2017, arXiv:1710.01878, eq. 1) and learnt steps (LSQ: Esser et al. 2020, arXiv:1902.08153); "
    "with a teacher's soft targets on the grid: QKD, Kim et al. 2019, arXiv:1911.12491",
    options=Joint,
    traits=StepTraits(
        variant="quantized",
        stage="prune and quantize",
        label=by_options(_label),
        faster=True,
        final=True,
        why="It computes in int8, zeros included. Zeros and few bits save storage only: a zip of the file is smaller.",
        reads=EVERY,
        formula=(
            r"\hat W = s \cdot \mathrm{clip}(\lfloor W / s \rceil) \odot M_t \\ \text{share of zeros in } M_t "
            r"\text{ rises to its target}"
        ),
        helps=(
            "For zeros and int8 in one fine-tuning. Compare with pruning followed by QAT for the same number of steps."
        ),
    ),
)
def joint(material: StepInput, options: Joint) -> StepResult:
    """A network to be trained on its grid while its smallest weights become zero, and stay so in the int8 file.

    Weights are ranked over the whole network as they are before they are rounded. Differs from CLIP-Q: what has become
    zero does not come back, and the grid is uniform. Raises CompressError.
    """
    grid = qat.on_grid(material, options, other=f" or ratio (now {options.ratio:g})")
    course = PruningSchedule(
        "magnitude", options.ratio, "global", options.finetune.steps, options.begin, options.end, {}
    )
    pruning = Gradual(grid.network, course)

    def finish(network: nn.Module) -> StepResult:
        before = {name: layer.weight.detach().clone() for name, layer in pruning.layers.items()}
        pruning.finish()
        if any(not torch.equal(layer.weight, before[name]) for name, layer in pruning.layers.items()):
            recalibrate(network, material.images, material.seed)
        assert grid.finish
        done = grid.finish(network)
        by_name = {row["name"]: row for row in done.report}
        return done._replace(report=[row | by_name.get(row["name"], {}) for row in zeros(done.network)])

    return StepResult(grid.network, [], constrain=pruning.constrain, finish=finish)
