"""What each single weight is worth: a score of the weight's shape for every layer. The lowest are pruned first."""

from __future__ import annotations

from typing import Any, Literal

from kdcore.compress.step import CompressError, StepInput
from kdcore.compress.tools import gradients
from kdcore.compress.tools.images import listen, sample
from kdcore.compress.tools.masks import Scores, layers_of
from kdcore.lazy import nn, torch

Importance = Literal["magnitude", "random", "taylor", "movement", "wanda"]
BATCH = 256


def scores(material: StepInput, importance: Importance, count: int) -> Scores:
    """The scores of the network as it is. `count`: images to look at, where the importance needs some."""
    layers = layers_of(material.network)
    if importance == "random":
        return chance(layers, material.seed)
    if importance == "taylor":
        gradients.mean(material.network, material, count)
        found = {name: (layer.weight * layer.weight.grad).detach().abs() for name, layer in layers.items()}
        material.network.zero_grad()
        return found
    sizes = {name: layer.weight.detach().abs() for name, layer in layers.items()}
    if importance == "wanda":
        norms = input_norms(material, layers, count)
        return {name: size * norms[name] for name, size in sizes.items()}
    return sizes


def chance(layers: dict[str, Any], seed: int) -> Scores:
    """Scores drawn from 0..1."""
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.rand(layer.weight.shape, generator=generator) for name, layer in layers.items()}


def input_norms(material: StepInput, layers: dict[str, Any], count: int) -> Scores:
    """How large each layer's input is: root of the sum of squares over images and places, for each input channel.

    Shaped to be multiplied with the weight. Raises CompressError for a layer that is never called.
    """
    sums: dict[str, torch.Tensor] = {}

    def hear(name: str, given: torch.Tensor, output: torch.Tensor) -> None:
        axis = 1 if isinstance(layers[name], nn.Conv2d) else given.ndim - 1
        sums[name] = sums.get(name, 0) + given.square().sum([place for place in range(given.ndim) if place != axis])

    picked = sample(torch.arange(len(material.images)), count, material.seed)
    listen(material.network, layers, (material.images[part] for part in picked.split(BATCH)), hear)
    if missing := layers.keys() - sums.keys():
        raise CompressError(f"layer {min(missing)} is never called as a module, so its input is not available")
    return {name: _beside(sums[name].sqrt(), layer) for name, layer in layers.items()}


def _beside(norms: torch.Tensor, layer: Any) -> torch.Tensor:
    """Norms (C,) of a layer's input channels, shaped like its weight: each group of filters sees its own channels."""
    if isinstance(layer, nn.Linear):
        return norms[None]
    of_group = norms.view(layer.groups, -1).repeat_interleave(layer.out_channels // layer.groups, 0)
    return of_group[:, :, None, None]
