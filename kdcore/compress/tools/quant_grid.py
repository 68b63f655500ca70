"""Weights on a uniform grid of few levels: scales, codes, and what is lost. Pure functions.

With b >= 2 bits a weight is a whole number from -(2^(b-1) - 1) to 2^(b-1) - 1 (2 bits: -1, 0, 1) times its scale, or,
where the grid is not symmetric, from -2^(b-1) (2 bits: -2, -1, 0, 1); with 1 bit it is -1 or +1 times its scale.
"""

from __future__ import annotations

import math
from typing import Any, Literal

from kdcore.compress.tools.masks import layers_of
from kdcore.lazy import nn, torch

CANDIDATES = 60  # shares of the largest value that are tried as the grid's end
REFINEMENTS = 5

Clip = Literal["max", "mse"]


def ends(network: nn.Module) -> set[str]:
    """Names of the first and the last convolution or linear layer."""
    names = list(layers_of(network))
    return set(names[:1] + names[-1:])


def span(bits: int, symmetric: bool = True) -> tuple[int, int]:
    """The lowest and largest code. With 8 bits always -127 and 127: int8 arithmetic has no use for -128."""
    largest = max(1, 2 ** (bits - 1) - 1)
    return (-largest if symmetric or bits in (1, 8) else -largest - 1), largest


def scales(
    weight: torch.Tensor, bits: int, *, per_channel: bool = True, clip: Clip = "max", symmetric: bool = True
) -> torch.Tensor:
    """The distance of neighbouring levels, (F, 1, …) for a weight (F, …), or (1, 1, …) for the whole layer.

    `clip`: the grid ends at the largest weight, or where the squared error is least. A single bit has the scale of
    least squared error anyway, the mean magnitude (Rastegari et al. 2016, eq. 6).
    """
    rows = (weight.flatten(1) if per_channel else weight.reshape(1, -1)).detach()
    if bits == 1:
        found = rows.abs().mean(1)
    elif clip == "max":
        found = _reach(rows, *span(bits, symmetric))
    else:
        found = least_error(rows, *span(bits, symmetric))
    return torch.where(found > 0, found, 1.0).view(-1, *[1] * (weight.ndim - 1))


def least_error(rows: torch.Tensor, lowest: int, largest: int) -> torch.Tensor:
    """The step, one a row of `rows` (R, N), with the least squared error on the grid lowest … largest.

    The best of a line of candidates, then refined: with the codes held, the best step is a least-squares fit. A row
    of zeros has the step 0.
    """
    reach = _reach(rows, lowest, largest)
    best, error = reach, _errors(rows, reach, lowest, largest)
    for share in torch.linspace(1, 0.05, CANDIDATES)[1:].tolist():
        best, error = _better(rows, best, error, reach * share, lowest, largest)
    for _ in range(REFINEMENTS):
        codes = _nearest(rows, best, lowest, largest)
        fitted = (rows * codes).sum(1) / codes.square().sum(1).clamp(min=1e-30)
        best, error = _better(rows, best, error, torch.where(fitted > 0, fitted, best), lowest, largest)
    return best


def _reach(rows: torch.Tensor, lowest: int, largest: int) -> torch.Tensor:
    """The step with which no value is beyond the grid's ends, where there are levels on its side at all."""
    above = rows.amax(1) / largest
    return torch.maximum(above, rows.amin(1) / lowest) if lowest else above


def _better(
    rows: torch.Tensor, best: torch.Tensor, error: torch.Tensor, step: torch.Tensor, lowest: int, largest: int
) -> tuple[torch.Tensor, torch.Tensor]:
    tried = _errors(rows, step, lowest, largest)
    return torch.where(tried < error, step, best), torch.minimum(tried, error)


def _nearest(rows: torch.Tensor, step: torch.Tensor, lowest: int, largest: int) -> torch.Tensor:
    return (rows / step.clamp(min=1e-30)[:, None]).round().clamp(lowest, largest)


def _errors(rows: torch.Tensor, step: torch.Tensor, lowest: int, largest: int) -> torch.Tensor:
    return (rows - _nearest(rows, step, lowest, largest) * step[:, None]).square().sum(1)


def codes(weight: torch.Tensor, scale: torch.Tensor, bits: int, symmetric: bool = True) -> torch.Tensor:
    """Whole numbers, as float32 of the weight's shape, whose product with `scale` is nearest to the weight."""
    if bits == 1:
        return torch.where(weight < 0, -1.0, 1.0)
    return (weight / scale).round().clamp(*span(bits, symmetric))


def row(
    name: str, bits: int, whole: torch.Tensor, rounded: torch.Tensor, scale: torch.Tensor, ends: tuple[int, int]
) -> dict[str, Any]:
    """What a layer's weights lost, for the report. `ends`: the lowest and largest code.

    `weight_error`: ‖W - Ŵ‖ / ‖W‖. `sqnr_db`: the same in decibels, None without any error. `clipped`: share of the
    weights beyond the grid's ends. `clipping`: their share of the squared error. `coded_bytes`: the codes at `bits`
    each and the scales at four bytes; storage only.
    """
    error = (whole - rounded).square()
    lost, power = float(error.sum()), max(float(whole.square().sum()), 1e-30)
    reals = whole / scale
    beyond = ((reals < ends[0] - 0.5) | (reals > ends[1] + 0.5)) & (bits > 1)
    return {
        "name": name,
        "bits": bits,
        "weight_error": math.sqrt(lost / power),
        "sqnr_db": 10 * math.log10(power / lost) if lost else None,
        "clipped": float(beyond.float().mean()),
        "clipping": float(error[beyond].sum()) / lost if lost else 0.0,
        "coded_bytes": math.ceil(whole.numel() * bits / 8) + 4 * scale.numel(),
    }
