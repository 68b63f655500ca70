"""GPT-2 as a choice, from random or from published weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator, model_validator

from kdcore import hub
from kdcore.inputs import Shape
from kdcore.inputs.bytepairs import BytePairs
from kdcore.inputs.text import TextShape
from kdcore.inputs.token_passages import TokenShape
from kdcore.lazy import nn
from kdcore.models.heads import check_whole
from kdcore.models.published_folder import check_sizes, confirm, layers, pinned, sha256_option, weights_option
from kdcore.models.text_encoder import sizes
from kdcore.models.traits import ArchitectureTraits
from kdcore.registry import Options, register

GELU = ("gelu_new", "gelu_pytorch_tanh")  # two names of one function
USUAL: dict[str, Any] = {
    "layer_norm_epsilon": 1e-5, "scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False,
    "add_cross_attention": False, "tie_word_embeddings": True,
}  # fmt: skip


class Gpt2(Options):
    """Options of GPT-2; the defaults are the small one's."""

    depth: int = Field(
        12, ge=1, le=24, description="Layers. With weights, fewer than those have: evenly spaced ones of them."
    )
    dim: int = Field(768, ge=8, le=1024, description="Width of the hidden states (n_embd).")
    heads: int = Field(12, ge=1, le=16, description="Attention heads (n_head); each gets an equal share of the width.")
    weights: str = weights_option(
        "Published weights of GPT-2's family: a Hugging Face folder (config.json, tokenizer.json or vocab.json and "
        "merges.txt, model.safetensors) or a name on its hub. The text must be cut by the tokenizer of the same "
        "folder. Empty: random weights."
    )
    sha256: str = sha256_option()

    @field_validator("weights")
    @classmethod
    def _place(cls, weights: str) -> str:
        return hub.name_or_path(weights) if weights.strip() else ""

    @model_validator(mode="after")
    def _whole_heads(self) -> Gpt2:
        check_whole(self.dim, self.heads)
        return self


def unfit(options: Gpt2, shape: Shape) -> Mapping[str, str]:
    """Why the weights cannot be used for this text, by option; nothing is said of what has to be downloaded yet."""
    try:
        folder = hub.local(options.weights) if options.weights else None
        return _unfit(options, folder, shape) if folder else {}
    except hub.BadFolder as error:
        return {"weights": str(error)}


def _unfit(options: Gpt2, folder: Path, shape: Shape) -> Mapping[str, str]:
    config = hub.document(folder, hub.CONFIG)
    if (there := layers_of(options, config)) < options.depth:
        return {"depth": f"{options.weights} has {there} layers"}
    remedy = f"set data.source.tokenizer to {options.weights}"
    if not isinstance(shape, TokenShape):
        return {"weights": f"the text is read character by character, not by the tokens of these weights: {remedy}"}
    if BytePairs.of_folder(folder, shape.longest).published != shape.splits.published:
        return {"weights": f"the text is not cut by the tokenizer of these weights: {remedy}"}
    return _too_small(options.weights, config, shape)


def _too_small(weights: str, config: Mapping[str, Any], shape: TokenShape) -> Mapping[str, str]:
    places, vocabulary = config.get("n_positions", 1024), config.get("vocab_size", 50257)
    if type(places) is not int or places < shape.longest:
        return {"weights": f"{weights} reads {places} tokens at most (n_positions): set data.source.window to no more"}
    if type(vocabulary) is not int or vocabulary <= max(shape.splits.places):
        return {
            "weights": f"{weights} knows {vocabulary} tokens (vocab_size), and its tokenizer has more: give the folder "
            "the tokenizer that the model was trained with"
        }
    return {}


def layers_of(options: Gpt2, config: Mapping[str, Any]) -> int:
    """The layers of a folder's model. Raises BadFolder where it is not GPT-2's family, or not of the asked sizes."""
    if config.get("model_type") != "gpt2":
        found = str(config.get("model_type"))[:40]
        raise hub.BadFolder(f"{options.weights} has model_type {found}, not gpt2: give a folder of GPT-2's family")
    inner = 4 * options.dim
    given: dict[str, Any] = USUAL | {"activation_function": GELU[0]} | dict(config)
    given["activation_function"] = GELU[0] if given["activation_function"] in GELU else given["activation_function"]
    given["n_inner"] = inner if config.get("n_inner") is None else config["n_inner"]
    wanted = {"n_embd": options.dim, "n_head": options.heads, "n_inner": inner, "activation_function": GELU[0]}
    check_sizes(options.weights, given, wanted | USUAL, {"n_embd": "dim", "n_head": "heads"})
    return layers(options.weights, config, "n_layer")


@register(
    "architecture",
    "gpt2",
    "GPT-2 for running text by tokens, from random weights or published ones",
    source="Radford et al. 2019, Language models are unsupervised multitask learners",
    options=Gpt2,
    traits=ArchitectureTraits(maps=False, reads="passages", blocks=True, pinned=pinned, unfit=unfit),
)
def gpt2(options: Gpt2, classes: int, shape: TextShape, normalize: nn.Module) -> nn.Module:
    """Embedding of tokens and positions, blocks that look back alone, and the embedding again for the next token.

    The same function of the ids as transformers' GPT2LMHeadModel in evaluation mode, for the tokens that the text
    keeps; trained without dropout. Raises BadFolder where the weights cannot be used.
    """
    from kdcore.models.nets import gpt2 as nets

    network = nets.Gpt2(*sizes(options, classes, shape), normalize=normalize)
    if options.weights:
        folder = hub.fetched(options.weights)
        for option, reason in unfit(options, shape).items():
            raise hub.BadFolder(f"{option}: {reason}")
        assert isinstance(shape, TokenShape)
        confirm(options, folder)
        there = layers_of(options, hub.document(folder, hub.CONFIG))
        nets.load(network, folder, there, shape.splits.places)
    return network
