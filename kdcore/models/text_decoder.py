"""The small language model as a choice."""

from __future__ import annotations

from kdcore.inputs.text import TextShape
from kdcore.lazy import nn
from kdcore.models.text_encoder import TextEncoder, sizes
from kdcore.models.traits import ArchitectureTraits
from kdcore.registry import register


class TextDecoder(TextEncoder):
    """Options of the small language model."""


@register(
    "architecture",
    "text_decoder",
    "Small language model (GPT): any depth, width and number of heads",
    source="Radford et al. 2019, Language models are unsupervised multitask learners, section 2.3",
    options=TextDecoder,
    traits=ArchitectureTraits(maps=False, reads="passages", blocks=True),
)
def text_decoder(options: TextDecoder, classes: int, shape: TextShape, normalize: nn.Module) -> nn.Module:
    """Embedding of tokens and positions, blocks that look back alone, and a linear layer for the next token."""
    from kdcore.models.nets.text_decoder import TextDecoder as Network

    return Network(*sizes(options, classes, shape), normalize=normalize)
