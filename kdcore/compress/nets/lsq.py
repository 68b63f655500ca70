"""Layers that are trained quantized, with learned step sizes (LSQ)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from kdcore.compress import grid

SMALLEST = 0.01  # of a step's first size


def quantize(values: torch.Tensor, step: torch.Tensor, lowest: int, largest: int) -> torch.Tensor:
    """The nearest of the levels lowest … largest times `step` (Esser et al. 2020, eq. 1 and 2).

    Its gradient, by the straight-through estimator: to `values` 1 between the ends, 0 beyond (eq. 5); to `step`
    round(v / s) - v / s between them, `lowest` and `largest` beyond (eq. 3).
    """
    scaled = (values / step).clamp(lowest, largest)
    return (scaled + (scaled.round() - scaled).detach()) * step


class Quantizer(nn.Module):
    """Fake quantization with learned steps: one, or one for each filter of a weight (F, …).

    Learnt is the ratio to the first step, so that an optimizer whose updates do not depend on the gradient's size
    (Adam) moves steps of 0.001 and of 1 alike. The gradient is scaled (section 2.2: g = 1 / √(N · largest), and by the
    first step squared) such that plain SGD moves the step as the paper says.
    """

    start: torch.Tensor

    def __init__(self, start: torch.Tensor, lowest: int, largest: int):
        super().__init__()
        self.lowest, self.largest = lowest, largest
        self.register_buffer("start", start.detach().clone())
        self.ratio = nn.Parameter(torch.ones_like(start))

    def step(self) -> torch.Tensor:
        return self.ratio * self.start

    def codes(self, values: torch.Tensor) -> torch.Tensor:
        """Whole numbers, as float32 of the values' shape."""
        return (values / along(self.step(), values)).round().clamp(self.lowest, self.largest)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        values = values.float()
        count = values.numel() / (self.ratio.numel() if self.ratio.ndim else max(1, len(values)))
        share = 1 / (math.sqrt(count * self.largest) * self.start.square())
        ratio = self.ratio * share + (self.ratio * (1 - share)).detach()
        return quantize(values, along(ratio * self.start, values), self.lowest, self.largest)


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


class Shift(nn.Module):
    """What is left of a batch norm whose scale is in the weights before it: a number added to each channel."""

    def __init__(self, bias: torch.Tensor):
        super().__init__()
        self.bias = nn.Parameter(bias.detach().clone())

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values + self.bias.view(-1, *[1] * (values.ndim - 2))


CLASSES: dict[type[nn.Module], type[nn.Module]] = {nn.Conv2d: QuantizedConv, nn.Linear: QuantizedLinear}


def weight_ends(bits: int, narrow: int) -> tuple[int, int]:
    """The lowest and largest code of a weight; `narrow`: the largest that 8-bit arithmetic takes."""
    return (-narrow, narrow) if bits == 8 else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def input_ends(bits: int, signed: bool) -> tuple[int, int]:
    """The lowest and largest code of an input, which is never negative or `signed`."""
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)


def first_steps(weight: torch.Tensor, lowest: int, largest: int) -> torch.Tensor:
    """The steps of least squared error, (F, 1, …) for a weight (F, …); 1 for a filter of zeros."""
    found = grid.least_error(weight.detach().flatten(1), lowest, largest)
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


def fold(network: nn.Module, pairs: Mapping[str, str]) -> None:
    """Puts the scales of batch norms into the weights before them, in place; of each norm a Shift is left.

    `pairs`: names of batch norms by the layer before, as `norms.followers` finds them.
    """
    for name, place in pairs.items():
        layer, norm = network.get_submodule(name), network.get_submodule(place)
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        assert isinstance(norm, nn.modules.batchnorm._BatchNorm)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        with torch.no_grad():
            scale = torch.rsqrt(norm.running_var + norm.eps) * (1 if norm.weight is None else norm.weight)
            layer.weight.mul_(along(scale, layer.weight))
            if layer.bias is not None:
                layer.bias.mul_(scale)
            shift = -norm.running_mean * scale + (0 if norm.bias is None else norm.bias)
        _replace(network, place, Shift(shift))


def unfold(network: nn.Module, norms: Mapping[str, nn.Module]) -> None:
    """Puts batch norms back, in place, that do what the Shifts do; `norms`: the ones that `fold` took, by name."""
    for place, norm in norms.items():
        assert isinstance(norm, nn.modules.batchnorm._BatchNorm)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        shift: torch.Tensor = network.get_submodule(place).bias  # type: ignore[assignment]
        with torch.no_grad():
            norm.running_mean.zero_()
            norm.running_var.fill_(1).sub_(norm.eps)
            if norm.weight is not None:
                norm.weight.fill_(1)
                norm.bias.copy_(shift)
            else:
                norm.running_mean.copy_(-shift)
        _replace(network, place, norm.to(shift.device))


def _replace(network: nn.Module, place: str, module: nn.Module) -> None:
    parent, _, name = place.rpartition(".")
    setattr(network.get_submodule(parent), name, module.train(network.training))
