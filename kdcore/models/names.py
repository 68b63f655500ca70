"""Where the classifier is, and the modules whose outputs are features, in a network that the zoo did not make."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from kdcore.lazy import nn

_ATTRIBUTE = "kdcore_names"  # a copy of the network carries it along


class Names(NamedTuple):
    """`head`: the path of the classifier. `taps`: those of the modules whose outputs are features, first to last."""

    head: str
    taps: tuple[str, ...] = ()


def give(network: nn.Module, head: str, taps: Sequence[str] = ()) -> None:
    """Makes `models.head` and `models.taps` answer these paths for the network."""
    setattr(network, _ATTRIBUTE, Names(head, tuple(taps)))


def of(network: nn.Module) -> Names | None:
    """What `give` gave it; None for a network of the zoo."""
    found: Names | None = getattr(network, _ATTRIBUTE, None)
    return found
