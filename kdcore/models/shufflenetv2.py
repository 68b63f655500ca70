"""ShuffleNet V2 as a choice."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from kdcore.lazy import nn
from kdcore.models.traits import ArchitectureTraits
from kdcore.registry import Options, Searched, register


class Shufflenetv2(Options):
    """Options of ShuffleNet V2."""

    size: Literal["x0.5", "x1", "x1.5", "x2"] = Field(
        "x1", description="Width, in the paper's sizes: x1 has 116, 232 and 464 filters."
    )


@register(
    "architecture",
    "shufflenetv2",
    "ShuffleNet V2 for small images: channel split and shuffle",
    source="Ma et al. 2018, arXiv:1807.11164, as in RepDistiller (Tian et al. 2020)",
    options=Shufflenetv2,
    traits=ArchitectureTraits(search=(Searched("size", choices=("x0.5", "x1", "x1.5"), smallest="x0.5"),)),
)
def shufflenetv2(options: Shufflenetv2, classes: int, shape: tuple[int, int, int], normalize: nn.Module) -> nn.Module:
    from kdcore.models.nets import shufflenetv2 as nets

    return nets.shufflenetv2(options.size, classes, shape[0], normalize)
