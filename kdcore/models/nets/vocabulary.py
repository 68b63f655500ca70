"""An embedding of some of a tokenizer's ids, which takes all of them, and one of fewer values, which are mixed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional


class KeptTokens(nn.Module):
    """Embeds ids (B, L) of `vocabulary` as `kept` rows of `dim` values. `rows` (vocabulary,): the row of each id."""

    def __init__(self, vocabulary: int, kept: int, dim: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(kept, dim))
        self.register_buffer("rows", torch.zeros(vocabulary, dtype=torch.int32))
        self.rows: torch.Tensor

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return functional.embedding(self.rows[ids].long(), self.weight)


def embedding(network: nn.Module) -> tuple[str, Any] | None:
    """The name and the module that embeds a network's tokens; None where it has none."""
    for name, module in network.named_modules():
        if name.endswith(("stem.token", "stem.token.basis")) and isinstance(module, nn.Embedding | KeptTokens):
            return name, module
    return None


def factor(network: nn.Module, rank: int) -> nn.Sequential:
    """Puts an embedding of `rank` values, `basis`, and a linear layer, `mix`, in the place of the embedding."""
    found = embedding(network)
    assert found
    name, whole = found
    vocabulary, dim = whole.weight.shape
    with torch.device(whole.weight.device):
        basis: Any = nn.Embedding(vocabulary, rank)
        if isinstance(whole, KeptTokens):
            basis = KeptTokens(len(whole.rows), vocabulary, rank)
            basis.rows = whole.rows
        parts = nn.Sequential(OrderedDict(basis=basis, mix=nn.Linear(rank, dim, bias=False)))
    network.set_submodule(name, parts)
    return parts


def keep(network: nn.Module, ids: torch.Tensor, unknown: int) -> None:
    """Keeps the rows of these ids (K,) in their order, `unknown` among them, which stands for all others."""
    found = embedding(network)
    assert found
    name, whole = found
    vocabulary, dim = whole.weight.shape
    made = KeptTokens(vocabulary, len(ids), dim)
    made.rows.fill_(int((ids == unknown).nonzero()[0]))
    made.rows[ids] = torch.arange(len(ids), dtype=torch.int32)
    made.weight.data.copy_(whole.weight.detach()[ids])
    network.set_submodule(name, made)


def as_saved(network: nn.Module, tensors: Mapping[str, torch.Tensor]) -> None:
    """Makes place for an embedding that a state dict has in two factors, or of which it has some rows."""
    found = embedding(network)
    if found and (mix := tensors.get(f"{found[0]}.mix.weight")) is not None:
        if mix.ndim != 2:
            raise ValueError(f"tensor '{found[0]}.mix.weight' is no matrix")
        factor(network, mix.shape[1])
        found = embedding(network)
    if found and (rows := tensors.get(f"{found[0]}.rows")) is not None:
        weight = tensors[f"{found[0]}.weight"]
        if rows.ndim != 1 or rows.dtype != torch.int32 or not 0 <= int(rows.min()) <= int(rows.max()) < len(weight):
            raise ValueError(f"tensor '{found[0]}.rows' does not say which row belongs to each token")
        network.set_submodule(found[0], KeptTokens(len(rows), *weight.shape))
