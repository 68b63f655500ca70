"""The multilayer perceptron as a choice."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from kdcore.lazy import nn
from kdcore.models.traits import ArchitectureTraits
from kdcore.registry import Options, register


class Mlp(Options):
    """Options of the multilayer perceptron."""

    widths: tuple[Annotated[int, Field(ge=1, le=8192)], ...] = Field(
        (128, 64), min_length=1, max_length=16, description="Neurons of each hidden layer (widths), from first to last."
    )


@register(
    "architecture",
    "mlp",
    "Multilayer perceptron: linear layers over all pixels",
    source="Rumelhart, Hinton and Williams 1986, with ReLU",
    options=Mlp,
    traits=ArchitectureTraits(maps=False),
)
def mlp(options: Mlp, classes: int, shape: tuple[int, int, int], normalize: nn.Module) -> nn.Module:
    from kdcore.models.nets import mlp as nets

    return nets.mlp(options.widths, classes, shape, normalize)
