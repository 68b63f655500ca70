"""The small CNN as a choice."""

from __future__ import annotations

from pydantic import Field

from kdcore.lazy import nn
from kdcore.models.traits import ArchitectureTraits
from kdcore.registry import Options, Searched, register


class Cnn(Options):
    """Options of the small CNN."""

    width: int = Field(
        32, ge=1, le=1024, description="Filters (channels) of the first two convolutions; the third has twice as many."
    )


@register(
    "architecture",
    "cnn",
    "Small convolutional network: three 3x3 convolutions with batch norm",
    source="the plain pattern of VGG (Simonyan and Zisserman 2015) with batch norm and global average pooling",
    options=Cnn,
    traits=ArchitectureTraits(search=(Searched("width", 2, 64, log=True, smallest=2),)),
)
def cnn(options: Cnn, classes: int, shape: tuple[int, int, int], normalize: nn.Module) -> nn.Module:
    from kdcore.models.nets import cnn as nets

    return nets.cnn(options.width, classes, shape[0], normalize)
