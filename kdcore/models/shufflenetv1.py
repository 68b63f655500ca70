"""ShuffleNet V1 as a choice."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from kdcore.lazy import nn
from kdcore.registry import Options, register


class Shufflenetv1(Options):
    """Options of ShuffleNet V1."""

    groups: Literal[1, 2, 3] = Field(
        3, description="Groups of the 1x1 convolutions; more groups come with more filters."
    )


@register(
    "architecture",
    "shufflenetv1",
    "ShuffleNet V1 for small images: grouped 1x1 convolutions and channel shuffle",
    source="Zhang et al. 2018, arXiv:1707.01083, as in RepDistiller (Tian et al. 2020)",
    options=Shufflenetv1,
)
def shufflenetv1(options: Shufflenetv1, classes: int, shape: tuple[int, int, int], normalize: nn.Module) -> nn.Module:
    from kdcore.models.nets import shufflenetv1 as nets

    return nets.shufflenetv1(options.groups, classes, shape[0], normalize)
