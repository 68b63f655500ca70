"""MobileNetV2 as a choice."""

from __future__ import annotations

from pydantic import Field

from kdcore.lazy import nn
from kdcore.models.traits import ArchitectureTraits
from kdcore.registry import Options, Searched, register


class Mobilenetv2(Options):
    """Options of MobileNetV2."""

    width: float = Field(
        0.5,
        ge=0.1,
        le=2,
        description="Width multiplier: filters relative to the paper; often 0.5.",
    )
    expansion: int = Field(6, ge=1, le=10, description="Expansion factor: width inside a block relative to outside.")


@register(
    "architecture",
    "mobilenetv2",
    "MobileNetV2 for small images: inverted residual blocks with depthwise convolutions",
    source="Sandler et al. 2018, arXiv:1801.04381, as in RepDistiller (Tian et al. 2020)",
    options=Mobilenetv2,
    traits=ArchitectureTraits(search=(Searched("width", 0.1, 1.0, log=True, smallest=0.1),)),
)
def mobilenetv2(options: Mobilenetv2, classes: int, shape: tuple[int, int, int], normalize: nn.Module) -> nn.Module:
    from kdcore.models.nets import mobilenetv2 as nets

    return nets.mobilenetv2(options.width, options.expansion, classes, shape[0], normalize)
