"""BERT as a choice, from random or from published weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, field_validator, model_validator

from kdcore import hub
from kdcore.inputs import Shape
from kdcore.inputs.text import TextShape
from kdcore.inputs.wordpiece import WordPieces
from kdcore.lazy import nn
from kdcore.models.heads import check_whole
from kdcore.models.published_folder import check_sizes, confirm, layers, pinned, sha256_option, weights_option
from kdcore.models.text_encoder import sizes
from kdcore.models.traits import ArchitectureTraits
from kdcore.registry import Options, register


class Bert(Options):
    """Options of BERT; the defaults are MiniLM's."""

    depth: int = Field(
        6, ge=1, le=24, description="Layers. With weights, fewer than those have: evenly spaced ones of them."
    )
    dim: int = Field(384, ge=8, le=1024, description="Width of the hidden states (hidden_size).")
    heads: int = Field(12, ge=1, le=16, description="Attention heads; each gets an equal share of the width.")
    weights: str = weights_option(
        "Published weights: a Hugging Face folder (config.json, tokenizer.json, model.safetensors) or a "
        f"name on its hub, such as {next(iter(hub.PACKAGES))}. Empty: random weights."
    )
    sha256: str = sha256_option()

    @field_validator("weights")
    @classmethod
    def _place(cls, weights: str) -> str:
        return hub.name_or_path(weights)

    @model_validator(mode="after")
    def _whole_heads(self) -> Bert:
        check_whole(self.dim, self.heads)
        return self


def _unfit(options: Bert, shape: Shape) -> Mapping[str, str]:
    """Why the weights cannot be used for these texts, by option; nothing is said of what has to be downloaded yet."""
    if not options.weights:
        return {}
    try:
        folder = hub.local(options.weights)
        if folder is None:
            return {}
        there = layers_of(options, hub.document(folder, hub.CONFIG))
        if there < options.depth:
            return {"depth": f"{options.weights} has {there} layers"}
        if WordPieces.of_folder(folder, shape[2]).digest == shape[4]:
            return {}
    except hub.BadFolder as error:
        return {"weights": str(error)}
    return {"weights": f"the texts are not split by the tokenizer of these weights: set data.source.tokenizer to "
            f"{options.weights}"}  # fmt: skip


def layers_of(options: Bert, config: Mapping[str, Any]) -> int:
    """The layers of a folder's model. Raises BadFolder where it is not of the asked sizes."""
    wanted = {
        "model_type": "bert", "hidden_size": options.dim, "num_attention_heads": options.heads,
        "intermediate_size": 4 * options.dim, "hidden_act": "gelu",
    }  # fmt: skip
    options_of = {"hidden_size": "dim", "num_attention_heads": "heads"}
    check_sizes(options.weights, config, wanted, options_of)
    return layers(options.weights, config, "num_hidden_layers")


@register(
    "architecture",
    "bert",
    "BERT for texts, from random weights or published ones such as MiniLM's",
    source="Devlin et al. 2019, arXiv:1810.04805; MiniLM: Wang et al. 2020, arXiv:2002.10957",
    options=Bert,
    traits=ArchitectureTraits(maps=False, reads="text", blocks=True, pinned=pinned, unfit=_unfit),
)
def bert(options: Bert, classes: int, shape: TextShape, normalize: nn.Module) -> nn.Module:
    """Embeddings, blocks with layer norm after each part, pooler on the first token, and a new linear classifier.

    The same function of the ids as transformers' BertForSequenceClassification in evaluation mode; trained without
    dropout. Raises BadFolder where the weights cannot be used.
    """
    from kdcore.models.nets import bert as nets

    network = nets.Bert(*sizes(options, classes, shape), normalize=normalize)
    if options.weights:
        folder = hub.fetched(options.weights)
        for option, reason in _unfit(options, shape).items():
            raise hub.BadFolder(f"{option}: {reason}")
        confirm(options, folder)
        nets.load(network, folder, layers_of(options, hub.document(folder, hub.CONFIG)))
    return network
