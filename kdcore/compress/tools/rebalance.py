"""A file's graph after its weights have changed: each layer's outputs given back their mean, and their spread.

What fresh statistics of batch norm do for a network, which a file has folded away. As REPAIR does (Jordan et al. 2022,
arXiv:2211.08403), with the parent's own outputs as the goal.
"""

from __future__ import annotations

from typing import Any

from kdcore.compress.tools.images import listen, sample
from kdcore.export.graph_network import GraphNetwork
from kdcore.lazy import nn, torch

IMAGES = 128
LEAST = 1e-8  # a spread below it is none


def rebalance(network: GraphNetwork, images: torch.Tensor, seed: int, *, spread: bool) -> None:
    """Moves, in place and from the first layer to the last, every bias so that each output has the mean it had before.

    `images`: float32 (n, C, H, W), of which 128 are looked at. `spread`: also scale each filter, so that its output has
    the deviation it had; zeros stay zeros, but values that filters share become several. Layers without a bias stay.
    """
    picked = sample(images, IMAGES, seed)
    before = network.original()
    for name, module in network.named_modules():
        layer: Any = module
        if not isinstance(layer, nn.Conv2d | nn.Linear) or layer.bias is None:
            continue
        (wanted, width), (mean, now) = (_outputs(one, name, picked) for one in (before, network))
        scale = torch.where((now > LEAST) & (width > LEAST), width / now, 1.0) if spread else torch.ones_like(now)
        with torch.no_grad():
            layer.weight.mul_(scale.view(-1, *[1] * (layer.weight.ndim - 1)))
            layer.bias.copy_((layer.bias - mean) * scale + wanted)


def _outputs(network: GraphNetwork, name: str, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation (F,) of what a layer gives, over images and places."""
    found: list[torch.Tensor] = []

    def hear(_: str, taken: torch.Tensor, given: torch.Tensor) -> None:
        axis = 1 if isinstance(network.get_submodule(name), nn.Conv2d) else given.ndim - 1
        others = [place for place in range(given.ndim) if place != axis]
        found.extend((given.mean(others), given.std(others)))

    listen(network, [name], [images], hear)
    return found[0], found[1]
