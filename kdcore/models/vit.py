"""The small vision transformer as a choice."""

from __future__ import annotations

from pydantic import Field, model_validator

from kdcore.lazy import nn
from kdcore.models.heads import check_whole
from kdcore.registry import Options, register


class Vit(Options):
    """Options of the small vision transformer."""

    patch: int = Field(4, ge=1, le=32, description="Patch size in pixels.")
    depth: int = Field(6, ge=2, le=24, description="Transformer blocks, each with attention and two linear layers.")
    dim: int = Field(128, ge=8, le=1024, description="Embedding dimension of a patch.")
    heads: int = Field(4, ge=1, le=16, description="Attention heads; each gets an equal share of the dimension.")

    @model_validator(mode="after")
    def _whole_heads(self) -> Vit:
        check_whole(self.dim, self.heads)
        return self


@register(
    "architecture",
    "vit",
    "Small vision transformer: attention between the patches of an image",
    source="Dosovitskiy et al. 2021, arXiv:2010.11929; mean pooling as in Beyer et al. 2022, arXiv:2205.01580",
    options=Vit,
)
def vit(options: Vit, classes: int, shape: tuple[int, int, int], normalize: nn.Module) -> nn.Module:
    """Raises ValueError where a patch is larger than the image."""
    from kdcore.models.nets import vit as nets

    if options.patch > min(shape[1:]):
        raise ValueError(
            f"patches of {options.patch} pixels are larger than images of {shape[1]}x{shape[2]}; "
            f"a patch of {min(shape[1:])} or less is needed"
        )
    return nets.vit(options.patch, options.depth, options.dim, options.heads, classes, shape, normalize)
