"""The VGG networks as a choice."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from kdcore.lazy import nn
from kdcore.models.traits import ArchitectureTraits
from kdcore.registry import Options, Searched, register


class Vgg(Options):
    """Options of VGG."""

    depth: Literal[8, 11, 13, 16, 19] = Field(
        8, description='Depth (layers with weights) in the paper\'s count: 13 makes "VGG-13".'
    )
    width: float = Field(1.0, ge=0.05, le=2, description="Width multiplier: 0.5 halves the number of filters.")


@register(
    "architecture",
    "vgg",
    "VGG for small images: 3x3 convolutions with batch norm, no shortcuts",
    source="Simonyan and Zisserman 2015, arXiv:1409.1556, as in RepDistiller (Tian et al. 2020)",
    options=Vgg,
    traits=ArchitectureTraits(
        search=(
            Searched("depth", choices=(8, 11, 13), smallest=8),
            Searched("width", 0.1, 1.0, log=True, smallest=0.1),
        )
    ),
)
def vgg(options: Vgg, classes: int, shape: tuple[int, int, int], normalize: nn.Module) -> nn.Module:
    from kdcore.models.nets import vgg as nets

    return nets.vgg(options.depth, options.width, classes, shape, normalize)
