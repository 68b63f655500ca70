"""The wide residual networks as a choice."""

from __future__ import annotations

from pydantic import Field, field_validator

from kdcore.lazy import nn
from kdcore.models.traits import ArchitectureTraits
from kdcore.registry import Options, Searched, register


class Wrn(Options):
    """Options of the wide residual networks; depth 40 and width 2 make "WRN-40-2"."""

    depth: int = Field(
        16,
        ge=10,
        le=100,
        json_schema_extra={"step": 6},
        description="Depth (layers with weights): 10, 16, 22 and so on up to 100, always 6n + 4.",
    )
    width: int = Field(2, ge=1, le=16, description="Widening factor: filters relative to a plain residual network.")

    @field_validator("depth")
    @classmethod
    def _whole_blocks(cls, depth: int) -> int:
        if depth % 6 != 4:
            below = depth - (depth - 4) % 6
            raise ValueError(f"depth must be 6n + 4; the nearest are {below} and {below + 6}")
        return depth


@register(
    "architecture",
    "wrn",
    "Wide residual network for small images (WRN-depth-width)",
    source="Zagoruyko and Komodakis 2016, arXiv:1605.07146, without dropout, as in RepDistiller (Tian et al. 2020)",
    options=Wrn,
    traits=ArchitectureTraits(
        search=(
            Searched("depth", 10, 40, step=6, smallest=10),
            Searched("width", 1, 4, smallest=1),
        )
    ),
)
def wrn(options: Wrn, classes: int, shape: tuple[int, int, int], normalize: nn.Module) -> nn.Module:
    from kdcore.models.nets import wrn as nets

    return nets.wrn(options.depth, options.width, classes, shape[0], normalize)
