"""AdaRound: whether each weight is rounded up or down is learnt, layer by layer, so that the layer's outputs stay."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

from pydantic import Field

from kdcore.compress.step import StepInput, StepResult
from kdcore.compress.tools import quant_grid, rounding
from kdcore.compress.tools.images import listen, sample
from kdcore.compress.tools.rounding import Layer, Rounding
from kdcore.lazy import functional, nn, torch
from kdcore.registry import by_options, register

GAMMA, ZETA = -0.1, 1.1  # how far the sigmoid is stretched, eq. 23
PULL = 0.01  # λ of eq. 21
FREE = 0.2  # of the iterations pass before anything pulls towards a decision
BETA = (20.0, 2.0)  # the pull's exponent, first and last
RATE = 0.05  # the iterations are few: at 0.01 most weights stay where they were
BATCH = 32
MOST_BYTES = 256 * 2**20  # of a layer's inputs


class AdaRound(Rounding):
    """Options of learnt rounding."""

    images: int = Field(512, ge=8, le=4096, description="Training examples of the student to learn on (max).")
    iterations: int = Field(400, ge=1, le=20_000, description="Optimizer steps per layer. The paper: 10,000.")


@register(
    "step",
    "adaround",
    "Weights rounded up or down to preserve each layer's output: few bits with a short optimisation",
    source="Nagel et al. 2020, arXiv:2004.10568, eq. 21 to 25",
    version=3,
    options=AdaRound,
    # For the estimate: images through the network, forward, back and for what each layer is given.
    traits=replace(
        rounding.traits("AdaRound"),
        looks=by_options(lambda options: options.images),
        passes=by_options(lambda options: 4 * BATCH * options.iterations),
        formula=r"\min_{V} \| W x - \hat W(V)\,x \|^2 + \lambda \sum \left( 1 - |2 h(V) - 1|^\beta \right)",
        helps="For 4 bits and fewer where training examples exist but no training run is wanted.",
    ),
)
def quantize(material: StepInput, options: AdaRound) -> StepResult:
    """Rounds layer after layer, each on the inputs that it gets from the layers already rounded.

    Differs from the paper in the measure of a layer's error: relative to the power of each filter's output, so that
    λ means the same for every layer. Raises CompressError.
    """
    layers = rounding.layers(material, options)
    before = copy.deepcopy(material.network)
    whole = {name: layer.module.weight.detach().clone() for name, layer in layers.items()}
    generator = torch.Generator().manual_seed(material.seed)
    images = sample(material.images, options.images, generator)
    codes = {}
    for name, layer in layers.items():
        plain, rounded = inputs(before, images, name), inputs(material.network, images, name)
        if plain is None or rounded is None:  # an attention reads the weights of its own: rounded to nearest
            codes[name] = quant_grid.codes(whole[name], layer.scale, layer.bits, layer.symmetric)
            rounding.put(layer, codes[name])
            continue
        count = max(BATCH, min(len(images), MOST_BYTES // max(1, plain[0].nbytes)))
        codes[name] = learn(layer, plain[:count], rounded[:count], options.iterations, generator)
        rounding.put(layer, codes[name])
    rounding.recalibrated(material, options)
    return rounding.deploy(material, options, layers, codes, whole)


def inputs(network: nn.Module, images: torch.Tensor, name: str) -> torch.Tensor | None:
    """What the named layer is given for these images; None where it is never called."""
    caught: list[torch.Tensor] = []
    listen(network, [name], images.split(256), lambda name, given, output: caught.append(given))
    return torch.cat(caught) if caught else None


def learn(
    layer: Layer, plain: torch.Tensor, rounded: torch.Tensor, iterations: int, generator: torch.Generator
) -> torch.Tensor:
    """Codes for the layer whose outputs on `rounded` are near those of its own weights on `plain`, both (n, …).

    Each code is the whole number below weight / scale or the one above (eq. 22).
    """
    weight, scale = layer.module.weight.detach(), layer.scale
    below = (weight / scale).floor()
    share = (weight / scale - below).clamp(0.01, 0.99)
    chosen = torch.logit((share - GAMMA) / (ZETA - GAMMA)).requires_grad_(True)
    optimizer = torch.optim.Adam([chosen], RATE)
    with torch.no_grad():
        wanted = apply(layer.module, weight, plain)
        power = per_filter(wanted, layer.module).clamp(min=1e-12)
    for iteration in range(iterations):
        picked = torch.randint(len(plain), (min(BATCH, len(plain)),), generator=generator)
        up = opening(chosen)
        made = apply(layer.module, (below + up).clamp(*layer.ends) * scale, rounded[picked])
        loss = (per_filter(made - wanted[picked], layer.module) / power).sum()
        done = iteration / iterations
        if done >= FREE:
            beta = BETA[1] + (BETA[0] - BETA[1]) * (1 - (done - FREE) / (1 - FREE))
            loss = loss + PULL * (1 - (2 * up - 1).abs().pow(beta)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        return (below + (opening(chosen) >= 0.5)).clamp(*layer.ends)


def opening(chosen: torch.Tensor) -> torch.Tensor:
    """The rectified sigmoid, 0 (down) to 1 (up), eq. 23."""
    return (torch.sigmoid(chosen) * (ZETA - GAMMA) + GAMMA).clamp(0, 1)


def apply(module: Any, weight: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
    """The layer's output with other weights and without its bias."""
    if isinstance(module, nn.Linear):
        return functional.linear(given, weight)
    return module._conv_forward(given, weight, None)


def per_filter(values: torch.Tensor, module: nn.Module) -> torch.Tensor:
    """Mean square (F,) over images and places."""
    axis = 1 if isinstance(module, nn.Conv2d) else values.ndim - 1
    return values.square().mean([place for place in range(values.ndim) if place != axis])
