"""The CIFAR ResNets as a choice."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from kdcore.lazy import nn
from kdcore.models.traits import ArchitectureTraits
from kdcore.registry import Options, Searched, register


class Resnet(Options):
    """Options of the CIFAR ResNets; depth 8 and width 4 make "resnet8x4"."""

    depth: int = Field(
        20,
        ge=8,
        le=110,
        json_schema_extra={"step": 6},
        description="Depth (layers with weights): 8, 14, 20 and so on up to 110, always 6n + 2.",
    )
    width: Literal[1, 2, 4] = Field(1, description="Width multiplier: 4 makes the x4 networks of the literature.")

    @field_validator("depth")
    @classmethod
    def _whole_blocks(cls, depth: int) -> int:
        if depth % 6 != 2:
            below = depth - (depth - 2) % 6
            raise ValueError(f"depth must be 6n + 2; the nearest are {below} and {below + 6}")
        return depth


@register(
    "architecture",
    "resnet",
    "Residual network for small images: three stages of 3x3 convolutions",
    source="He et al. 2016, section 4.2, as in RepDistiller (Tian et al. 2020)",
    options=Resnet,
    traits=ArchitectureTraits(
        search=(
            Searched("depth", 8, 56, step=6, smallest=8),
            Searched("width", choices=(1, 2, 4), smallest=1),
        )
    ),
)
def resnet(options: Resnet, classes: int, shape: tuple[int, int, int], normalize: nn.Module) -> nn.Module:
    from kdcore.models.nets import resnet as nets

    return nets.resnet(options.depth, options.width, classes, shape[0], normalize)
