"""Layers that are trained quantized, with learned step sizes (LSQ)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from kdcore.compress.tools import quant_grid


def quantize(values: torch.Tensor, step: torch.Tensor, lowest: int, largest: int) -> torch.Tensor:
    """The nearest of the levels lowest … largest times `step` (Esser et al. 2020, eq. 1 and 2).

    Its gradient, by the straight-through estimator: to `values` 1 between the ends, 0 beyond (eq. 5); to `step`
    round(v / s) - v / s between them, `lowest` and `largest` beyond (eq. 3).
    """
    scaled = (values / step).clamp(lowest, largest)
    return (scaled + (scaled.round() - scaled).detach()) * step


class Quantizer(nn.Module):
    """Fake quantization with learned steps: one, or one for each filter of a weight (F, …).

    Learnt is the logarithm of the ratio to the first step, as in TQT (Jain et al. 2020, arXiv:1903.08066, section 4):
    a step stays positive, an optimizer whose updates do not depend on the gradient's size (Adam) moves steps of 0.001
    and of 1 alike, and weight decay would pull a step to its first size and not to zero. The gradient is scaled (LSQ,
    section 2.2: g = 1 / √(N · largest), and by the first step squared) such that plain SGD begins as the paper says. N
    counts the weights of the layer, also where each filter has its step, or the features of an image.
    """

    start: torch.Tensor

    def __init__(self, start: torch.Tensor, lowest: int, largest: int):
        super().__init__()
        self.lowest, self.largest = lowest, largest
        self.register_buffer("start", start.detach().clone())
        self.growth = nn.Parameter(torch.zeros_like(start))

    def step(self) -> torch.Tensor:
        return self.growth.exp() * self.start

    def codes(self, values: torch.Tensor) -> torch.Tensor:
        """Whole numbers, as float32 of the values' shape."""
        return (values / along(self.step(), values)).round().clamp(self.lowest, self.largest)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        values = values.float()
        count = values.numel() / (1 if self.growth.ndim else max(1, len(values)))
        share = 1 / (math.sqrt(count * self.largest) * self.start.square())
        held = self.growth.detach()
        growth = held + share * (self.growth - held)  # exactly what it was, however large the share
        return quantize(values, along(growth.exp() * self.start, values), self.lowest, self.largest)


def along(step: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    return step.view(-1, *[1] * (values.ndim - 1)) if step.ndim else step


class QuantizedConv(nn.Conv2d):
    """A convolution of quantized weights and inputs."""

    weights: Quantizer
    inputs: Quantizer

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return self._conv_forward(self.inputs(input), self.weights(self.weight), self.bias)


class QuantizedLinear(nn.Linear):
    """A linear layer of quantized weights and inputs."""

    weights: Quantizer
    inputs: Quantizer

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(self.inputs(input), self.weights(self.weight), self.bias)


CLASSES: dict[type[nn.Module], type[nn.Module]] = {nn.Conv2d: QuantizedConv, nn.Linear: QuantizedLinear}


def weight_ends(bits: int, narrow: int) -> tuple[int, int]:
    """The lowest and largest code of a weight; `narrow`: the largest that 8-bit arithmetic takes."""
    return (-narrow, narrow) if bits == 8 else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def input_ends(bits: int, signed: bool) -> tuple[int, int]:
    """The lowest and largest code of an input, which is never negative or `signed`."""
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)


def first_steps(weight: torch.Tensor, lowest: int, largest: int) -> torch.Tensor:
    """The steps of least squared error, (F, 1, …) for a weight (F, …); 1 for a filter of zeros."""
    found = quant_grid.least_error(weight.detach().flatten(1), lowest, largest)
    return along(torch.where(found > 0, found, 1.0), weight)


def attach(layer: nn.Module, ends: tuple[int, int], inputs: Quantizer) -> None:
    """Makes a convolution or linear layer, in place, one that is trained quantized.

    `ends`: the lowest and largest code of its weights. `inputs` may be shared with other layers.
    """
    weight: torch.Tensor = layer.weight  # type: ignore[assignment]
    layer.__class__ = CLASSES[type(layer)]
    layer.weights = Quantizer(first_steps(weight, *ends).flatten(), *ends)
    layer.inputs = inputs


def detach(layer: nn.Module) -> torch.Tensor:
    """Makes the layer, in place, an ordinary one again, whose weights are on their grid; returns their codes."""
    quantizer: Quantizer = layer.weights  # type: ignore[assignment]
    weight: torch.Tensor = layer.weight  # type: ignore[assignment]
    with torch.no_grad():
        codes = quantizer.codes(weight)
        weight.copy_(codes * along(quantizer.step(), weight))
    del layer.weights, layer.inputs
    layer.__class__ = next(plain for plain, quantized in CLASSES.items() if type(layer) is quantized)
    return codes


def quantized(network: nn.Module) -> Iterator[tuple[str, Any]]:
    """The layers that `attach` changed, by name."""
    yield from ((name, module) for name, module in network.named_modules() if type(module) in CLASSES.values())
