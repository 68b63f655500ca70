"""BERT (Devlin et al. 2019) for token ids, post-norm, without dropout, and its weights out of a Hugging Face folder."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from kdcore import hub
from kdcore.inputs.ids import PADDING
from kdcore.models.nets.attention import draw_weights
from kdcore.models.nets.text_encoder import FAR, Attention, Tokens
from kdcore.problems import first_line

EPS = 1e-12
FEED_FORWARD = 4  # times the dimension, in every BERT
# The names of a folder's tensors in this network, of the embeddings and the pooler and within a layer.
OUTER = {
    "embeddings.word_embeddings": "stem.token",
    "embeddings.position_embeddings": "stem.position",
    "embeddings.token_type_embeddings": "stem.kind",
    "embeddings.LayerNorm": "stem.norm",
    "pooler.dense": "pool.dense",
}
LAYER = {
    "attention.self.query": "attention.query",
    "attention.self.key": "attention.key",
    "attention.self.value": "attention.value",
    "attention.output.dense": "attention.out",
    "attention.output.LayerNorm": "norm1",
    "intermediate.dense": "mlp.linear1",
    "output.dense": "mlp.linear2",
    "output.LayerNorm": "norm2",
}


def spread(wanted: int, offered: int) -> list[int]:
    """`wanted` layers out of `offered`, evenly spaced from the first one on: 0 and 3 of 6."""
    return [place * offered // wanted for place in range(wanted)]


class Embeddings(Tokens):
    """Token, place and kind of text (always the first of two), and layer norm: ids (B, L) to (B, L, dim)."""

    def __init__(self, vocabulary: int, longest: int, dim: int):
        super().__init__(vocabulary, longest, dim)
        self.kind = nn.Embedding(2, dim)
        self.norm = nn.LayerNorm(dim, eps=EPS)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.norm(super().forward(ids) + self.kind.weight[0])


class Block(nn.Module):
    """Attention and two linear layers, each beside a shortcut, with layer norm after it."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.attention = Attention(dim, heads)
        self.norm1 = nn.LayerNorm(dim, eps=EPS)
        inner = FEED_FORWARD * dim
        self.mlp = nn.Sequential(
            OrderedDict(linear1=nn.Linear(dim, inner), gelu=nn.GELU(), linear2=nn.Linear(inner, dim))
        )
        self.norm2 = nn.LayerNorm(dim, eps=EPS)

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        tokens = self.norm1(tokens + self.attention(tokens, mask))
        return self.norm2(tokens + self.mlp(tokens))


class Blocks(nn.ModuleList):
    """Blocks one after another, by their numbers: tokens (B, L, dim) to hidden states (B, L, dim)."""

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        for block in self:
            tokens = block(tokens, mask)
        return tokens


def drop(network: nn.Module, wanted: int) -> list[int] | None:
    """Keeps so many of the layers, evenly spaced, and says which; None where the network has no more than that."""
    blocks = getattr(network, "stage1", None)
    if not isinstance(blocks, Blocks) or len(blocks) <= wanted:
        return None
    kept = spread(wanted, len(blocks))
    network.stage1 = Blocks(blocks[place] for place in kept)
    return kept


def as_saved(network: nn.Module, tensors: Mapping[str, torch.Tensor]) -> None:
    """Leaves out the last layers, where a state dict has none for them."""
    layers = {name.split(".")[1] for name in tensors if name.startswith("stage1.")}
    drop(network, max(1, len(layers)))


class Pooler(nn.Module):
    """The first token's hidden state, a linear layer and tanh: (B, L, dim) to (B, dim)."""

    def __init__(self, dim: int):
        super().__init__()
        self.dense = nn.Linear(dim, dim)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.dense(self.summary(tokens)))

    @staticmethod
    def summary(tokens: torch.Tensor, known: torch.Tensor | None = None) -> torch.Tensor:
        """What stands for a whole text, (B, dim), of tokens (B, L, dim): the first one."""
        return tokens[:, 0]


class Bert(nn.Module):
    """`depth` blocks in one stage; what the first token has become is classified. Weights are drawn as BERT's: a normal
    distribution with standard deviation 0.02."""

    def __init__(
        self, depth: int, dim: int, heads: int, classes: int, vocabulary: int, longest: int, normalize: nn.Module
    ):
        super().__init__()
        self.normalize = normalize
        self.stem = Embeddings(vocabulary, longest, dim)
        self.stage1 = Blocks(Block(dim, heads) for _ in range(depth))
        self.pool = Pooler(dim)
        self.head = nn.Linear(dim, classes)
        draw_weights(self)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        tokens = self.stem(self.normalize(ids))
        mask = ((ids == PADDING).to(tokens.dtype) * FAR)[:, None, None, :]
        return self.head(self.pool(self.stage1(tokens, mask)))


def names(depth: int, layers: int) -> dict[str, str]:
    """The tensors of this network by their names in a folder whose model has `layers`, of which `depth` are taken."""
    modules = dict(OUTER)
    for place, layer in enumerate(spread(depth, layers)):
        modules |= {f"encoder.layer.{layer}.{theirs}": f"stage1.{place}.{ours}" for theirs, ours in LAYER.items()}
    return {f"{theirs}.{part}": f"{ours}.{part}" for theirs, ours in modules.items() for part in ("weight", "bias")}


def load(network: Bert, folder: Path, layers: int) -> None:
    """Puts the folder's weights into the network: evenly spaced ones of its `layers`, the first positions. The
    classifier stays as it was drawn, and so does the pooler where the folder has none. Raises BadFolder."""
    from safetensors import SafetensorError, safe_open

    own = dict(network.named_parameters())
    path = hub.file(folder, hub.WEIGHTS)
    try:
        with safe_open(path, "pt") as file:
            there = set(file.keys())
            prefix = "bert." if "bert.embeddings.word_embeddings.weight" in there else ""
            for theirs, ours in names(len(network.stage1), layers).items():
                if ours not in own:
                    continue
                if prefix + theirs not in there:
                    if ours.startswith("pool."):
                        continue
                    raise hub.BadFolder(f"{path} has no tensor {prefix + theirs!r}: it is not a BERT's")
                _copy(own[ours], file.get_slice(prefix + theirs), theirs, path)
    except SafetensorError as error:
        raise hub.BadFolder(f"{path} cannot be read as safetensors: {first_line(error)}") from None


def _copy(weight: torch.Tensor, saved: Any, name: str, path: Path) -> None:
    shape, rows = tuple(saved.get_shape()), len(weight)
    longer = name.startswith("embeddings.") and weight.ndim == 2  # positions that no text has, words beyond the last
    if shape[1:] != weight.shape[1:] or not (shape[0] == rows or (longer and shape[0] > rows)):
        raise hub.BadFolder(f"{name} in {path} is {shape}, where {tuple(weight.shape)} is needed")
    value = saved[:rows].float()
    if not value.isfinite().all():
        raise hub.BadFolder(f"{name} in {path} holds values that are no numbers")
    weight.data.copy_(value)
