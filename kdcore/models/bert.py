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
    weights: str = Field(
        "",
        max_length=1000,
        description="Published weights: a Hugging Face folder (config.json, tokenizer.json, model.safetensors) or a "
        f"name on its hub, such as {next(iter(hub.PACKAGES))}. Empty: random weights.",
    )
    sha256: str = Field(
        "",
        pattern="^([0-9a-f]{64})?$",
        description="SHA-256 that model.safetensors must have. Empty: that of the file when the run is planned.",
    )

    @field_validator("weights")
    @classmethod
    def _place(cls, weights: str) -> str:
        return hub.name_or_path(weights)

    @model_validator(mode="after")
    def _whole_heads(self) -> Bert:
        check_whole(self.dim, self.heads)
        return self


def _pinned(options: Bert) -> Bert:
    """With the digest of the weights that are there now."""
    if not options.weights or options.sha256:
        return options
    known = hub.PUBLISHED.get(options.weights)
    folder = hub.local(options.weights)
    return options.model_copy(update={"sha256": known or (hub.digest(folder) if folder else "")})


def _unfit(options: Bert, shape: Shape) -> Mapping[str, str]:
    """Why the weights cannot be used for these texts, by option; nothing is said of what has to be downloaded yet."""
    if not options.weights:
        return {}
    try:
        folder = hub.local(options.weights)
        if folder is None:
            return {}
        layers = layers_of(options, hub.document(folder, hub.CONFIG))
        if layers < options.depth:
            return {"depth": f"{options.weights} has {layers} layers"}
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
    for name, value in wanted.items():
        if config.get(name) != value:
            found = str(config.get(name))[:40]
            change = f": set {options_of[name]} to it" if name in options_of else ", which is not supported"
            raise hub.BadFolder(f"{options.weights} has {name} {found}, not {value}{change}")
    layers = config.get("num_hidden_layers")
    if type(layers) is not int or not 1 <= layers <= 1000:
        raise hub.BadFolder(f"{hub.CONFIG} of {options.weights} does not say how many layers it has")
    return layers


@register(
    "architecture",
    "bert",
    "BERT for texts, from random weights or published ones such as MiniLM's",
    source="Devlin et al. 2019, arXiv:1810.04805; MiniLM: Wang et al. 2020, arXiv:2002.10957",
    options=Bert,
    traits=ArchitectureTraits(maps=False, reads="text", blocks=True, pinned=_pinned, unfit=_unfit),
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
        if (wanted := _pinned(options).sha256) and hub.digest(folder) != wanted:
            raise hub.BadFolder(
                f"model.safetensors in {folder} is not the file that was planned with (its SHA-256 differs): restore "
                "it, or start a new run"
            )
        nets.load(network, folder, layers_of(options, hub.document(folder, hub.CONFIG)))
    return network
