"""The small transformer encoder for texts as a choice."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from kdcore.inputs import Shape
from kdcore.inputs.text import TextShape
from kdcore.lazy import nn
from kdcore.models.heads import check_whole
from kdcore.models.traits import ArchitectureTraits
from kdcore.registry import Options, register


class TextEncoder(Options):
    """Options of the small text encoder."""

    depth: int = Field(2, ge=1, le=24, description="Transformer blocks, each with attention and two linear layers.")
    dim: int = Field(64, ge=8, le=1024, description="Embedding dimension of a token.")
    heads: int = Field(4, ge=1, le=16, description="Attention heads; each gets an equal share of the dimension.")

    @model_validator(mode="after")
    def _whole_heads(self) -> TextEncoder:
        check_whole(self.dim, self.heads)
        return self


def sizes(options: Any, classes: int, shape: Shape) -> tuple[int, int, int, int, int, int]:
    """Depth, width, heads, classes, vocabulary and longest text, as networks for texts take them."""
    of = TextShape(*shape)
    return options.depth, options.dim, options.heads, classes, of.vocabulary, of.longest


@register(
    "architecture",
    "text_encoder",
    "Small transformer encoder for texts: any depth, width and number of heads",
    source="Vaswani et al. 2017, arXiv:1706.03762; pre-norm as in Xiong et al. 2020, arXiv:2002.04745; mean pooling",
    options=TextEncoder,
    traits=ArchitectureTraits(maps=False, reads="text", blocks=True),
)
def text_encoder(options: TextEncoder, classes: int, shape: TextShape, normalize: nn.Module) -> nn.Module:
    """Embedding of tokens and positions, blocks, the mean over the tokens, and a linear classifier."""
    from kdcore.models.nets.text_encoder import TextEncoder as Network

    return Network(*sizes(options, classes, shape), normalize=normalize)
