"""What the methods for transformers share: their blocks, the attention in these, and networks that do not match."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from kdcore import models
from kdcore.distill.method import Unsuitable
from kdcore.lazy import nn, torch


class Sizes(NamedTuple):
    """Of a transformer: its number of blocks, the width of its hidden states, and its attention heads."""

    depth: int
    dim: int
    heads: int


def sizes(architecture: Any) -> Sizes | None:
    """Those that the options of an architecture ask for; None where they have no such fields."""
    found: list[Any] = [getattr(architecture, name, None) for name in Sizes._fields]
    return Sizes(*found) if all(type(one) is int for one in found) else None


def too_deep(student: Any, teacher: Any) -> str | None:
    """Why the student's blocks find none of the teacher's to learn from; None where they do. Both: options."""
    own, other = sizes(student), sizes(teacher)
    return _too_few(own.depth, other.depth) if own and other and own.depth > other.depth else None


def _too_few(own: int, other: int) -> str:
    return f"a student of {own} layers finds too few in a teacher of {other}: give it no more than those"


def unequal(student: Any, teacher: Any, field: str, what: str) -> str | None:
    """Why a student that differs from its teacher in a field of `Sizes`, called `what`, cannot learn from it."""
    own, other = sizes(student), sizes(teacher)
    if own and other and getattr(own, field) != getattr(other, field):
        mine, theirs = getattr(own, field), getattr(other, field)
        return f"{what} of the student ({mine}) and of its teacher ({theirs}) must be equal: change one of the models"
    return None


def paths(network: nn.Module, whose: str) -> list[str]:
    """The blocks of a transformer, first to last. Raises Unsuitable."""
    found = list(models.blocks(network))
    if not found:
        raise Unsuitable(
            f"the {whose} ({type(network).__name__}) has no blocks with attention to look into: choose a text_encoder "
            "or a bert, or a method that matches responses, such as kd"
        )
    return found


def partners(own: int, other: int) -> list[int]:
    """The teacher's block for each of the student's `own`, out of `other`: the last one of each equal part (1, 3, 5 of
    six for three). Where no whole parts come out, the last one within them. Raises Unsuitable."""
    if own > other:
        raise Unsuitable(_too_few(own, other))
    return [(place + 1) * other // own - 1 for place in range(own)]


def inside(path: str, layer: str) -> str:
    """The tap of a block's attention that gives "query", "key" or "value", (B, L, heads * width)."""
    return f"{path}.attention.{layer}"


def widths(network: nn.Module, of: Sequence[str]) -> list[int]:
    """How wide a head is in each of these blocks."""
    found = models.blocks(network)
    attentions: list[Any] = [found[path].attention for path in of]
    return [one.width for one in attentions]


def in_heads(states: torch.Tensor, width: int) -> torch.Tensor:
    """Queries, keys or values (B, L, heads * width) by head, (B, heads, L, width)."""
    return states.unflatten(2, (-1, width)).transpose(1, 2)


def scores(query: torch.Tensor, key: torch.Tensor, width: int) -> torch.Tensor:
    """How strongly each token looks at each other one, before the softmax: (B, heads, L, L)."""
    return in_heads(query, width) @ in_heads(key, width).transpose(2, 3) * width**-0.5


def mean_of_tokens(values: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Mean of values (B, L, ...) over the tokens that are `known`, bool (B, L), of all texts together."""
    return values[known].mean()
