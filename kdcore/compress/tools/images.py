"""Training images as steps use them: a random sample, and what the layers of a network make of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from kdcore.lazy import nn, torch

Heard = Callable[[str, Any, Any], None]


def sample(values: torch.Tensor, most: int, random: int | torch.Generator) -> torch.Tensor:
    """At most `most` of the values (n, ...), picked at random. `random`: a seed, or a generator that goes on after."""
    generator = torch.Generator().manual_seed(random) if isinstance(random, int) else random
    return values[torch.randperm(len(values), generator=generator)[:most]]


def by_input(images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The targets (n * P, K) of n inputs, each of which holds P examples, as (n, P, K); P is 1 but in running text."""
    return targets.unflatten(0, (len(images), -1))


def listen(network: nn.Module, names: Iterable[str], batches: Iterable[torch.Tensor], hear: Heard) -> None:
    """Sends batches through the network without gradients; `hear` gets each named layer's name, input and output."""

    def hook(name: str) -> Callable[[Any, Any, Any], None]:
        return lambda module, inputs, output: hear(name, inputs[0], output)

    handles = [network.get_submodule(name).register_forward_hook(hook(name)) for name in names]
    try:
        with torch.no_grad():
            for batch in batches:
                network(batch)
    finally:
        for handle in handles:
            handle.remove()
