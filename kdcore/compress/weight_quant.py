"""Weights rounded to few bits after training: uniform grids from 8 bits down to ternary and binary."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field

from kdcore.compress.step import StepInput, StepResult
from kdcore.compress.tools import quant_grid, rounding
from kdcore.compress.tools.images import listen, sample
from kdcore.compress.tools.norms import followers
from kdcore.compress.tools.rounding import Rounding
from kdcore.compress.traits import any_graph
from kdcore.lazy import nn, torch
from kdcore.registry import Searched, by_options, register

IMAGES = 256


class WeightQuant(Rounding):
    """Options of rounding weights to the nearest level."""

    bits: int = Field(
        4,
        ge=1,
        le=8,
        description="Bits per weight. 2: ternary (-1, 0 and 1 times a scale) where the grid is symmetric. 1: binary "
        "(-1 and 1 times a scale).",
    )
    policy: dict[str, Annotated[int, Field(ge=1, le=8)]] = Field(
        {}, description=Rounding.model_fields["policy"].description
    )
    bias_correction: bool = Field(
        True,
        description="Correct each layer's bias so that its mean output over training examples stays the same. After "
        "recalibration only layers without batch norm need it.",
    )


@register(
    "step",
    "weight_quant",
    "Weights rounded to few bits, without training: a smaller file, faster only with int8 activations",
    source="Krishnamoorthi 2018, arXiv:1806.08342; bias correction: Nagel et al. 2019, arXiv:1906.04721, section 4.2; "
    "ternary: Li et al. 2016, arXiv:1605.04711; binary: Rastegari et al. 2016, arXiv:1603.05279, eq. 6",
    version=3,
    options=WeightQuant,
    traits=replace(
        rounding.traits("weights"),
        search=(Searched("bits", 2, 8, step=1, smallest=2, by_layer="policy", sensitivity="quantize"),),
        graph=any_graph,
        looks=by_options(lambda options: IMAGES if options.bias_correction else 0),
        formula=r"\hat W = s \cdot \mathrm{clip}(\lfloor W / s \rceil, -2^{b-1}, 2^{b-1} - 1)",
        helps="To see how many bits a network needs, without training. Below 4 bits AdaRound or QAT keeps more.",
    ),
)
def quantize(material: StepInput, options: WeightQuant) -> StepResult:
    """Rounds the weights of every convolution and linear layer to the nearest level of its grid.

    Raises CompressError.
    """
    layers = rounding.layers(material, options)
    before = copy.deepcopy(material.network) if options.bias_correction else None
    whole = {name: layer.module.weight.detach().clone() for name, layer in layers.items()}
    codes = {
        name: quant_grid.codes(whole[name], layer.scale, layer.bits, layer.symmetric) for name, layer in layers.items()
    }
    for name, layer in layers.items():
        rounding.put(layer, codes[name])
    rounding.recalibrated(material, options)
    if before is not None:
        _correct(material, before, layers, recalibrated=options.recalibrate)
    return rounding.deploy(material, options, layers, codes, whole)


def _correct(material: StepInput, before: nn.Module, layers: Mapping[str, Any], *, recalibrated: bool) -> None:
    """Shifts the layers' outputs, first to last, so that each has the mean that it had in `before`.

    Through the layer's own bias or, where batch norm follows, through its running mean. Fresh statistics of a batch
    norm hold the shift already.
    """
    network = material.network
    norms = followers(network)
    images = sample(material.images, IMAGES, material.seed)
    shiftable = [name for name, layer in layers.items() if layer.module.bias is not None or name in norms]
    due = [name for name in shiftable if not (recalibrated and name in norms)]
    wanted = means(before, images, due)
    for name in due:
        shift = means(network, images, [name])[name] - wanted[name]
        with torch.no_grad():
            if name in norms:
                network.get_submodule(norms[name]).running_mean.add_(shift)  # type: ignore[operator]
            else:
                layers[name].module.bias.sub_(shift)


def means(network: nn.Module, images: torch.Tensor, names: list[str]) -> dict[str, torch.Tensor]:
    """Mean output (F,) of the named layers over images (n, C, H, W) and places."""
    found: dict[str, torch.Tensor] = {}

    def hear(name: str, inputs: torch.Tensor, output: torch.Tensor) -> None:
        axis = 1 if isinstance(network.get_submodule(name), nn.Conv2d) else output.ndim - 1
        found[name] = output.mean([place for place in range(output.ndim) if place != axis])

    listen(network, names, [images], hear)
    return found
