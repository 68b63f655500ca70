"""Layer sensitivity: each layer compressed alone, at several strengths; and the mixed policy that follows."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from math import ceil
from typing import Any, Literal, NamedTuple

from kdcore import models
from kdcore.compress.step import CompressError
from kdcore.compress.tools import factors, quant_grid
from kdcore.compress.tools.masks import layers_of, picked
from kdcore.compress.tools.norms import followers
from kdcore.compress.tools.recalibrate import recalibrate
from kdcore.data.labelling import Labelling
from kdcore.lazy import nn, torch

Kind = Literal["prune", "filters", "rank", "quantize"]
STRENGTHS: dict[str, tuple[float, ...]] = {
    "prune": (0.5, 0.7, 0.8, 0.9, 0.95),
    "filters": (0.25, 0.5, 0.75),
    "rank": (0.4, 0.25, 0.125),
    "quantize": (8, 4, 3, 2),
}
STEPS = {"prune": "prune_unstructured", "filters": "prune_structured", "rank": "low_rank", "quantize": "qat"}
BUDGETED = dict.fromkeys(STRENGTHS, "weights") | {"quantize": "bytes"}  # zeros leave the file as long as it was
FALLING = ("rank", "quantize")  # strengths are what stays: the lowest is the strongest
BATCH = 256
UNITS = 20_000  # that a budget is counted in


class EvalSet(NamedTuple):
    """What the network is asked: images float32 (n, C, H, W) in [0, 1], targets (n, K), and what these mean.

    `calibration`: training images, for batch norm's statistics after each change.
    """

    images: torch.Tensor
    targets: torch.Tensor
    labelling: Labelling
    calibration: torch.Tensor


def measure(
    network: nn.Module,
    exam: EvalSet,
    kind: Kind,
    strengths: Sequence[float],
    on_layer: Callable[[str, int, int], None] = lambda name, done, of: None,
) -> dict[str, Any]:
    """A JSON document: a row for each layer and strength, with the accuracy and the loss (nats) that it leaves.

    `kind`: "prune" sets the smallest weights to zero, `strengths` being shares; "filters" silences the filters of the
    smallest L2 norm, not the classifier's, which shows what removing them would do; "rank" keeps a share of the full
    rank (spatial SVD), not of the classifier's; "quantize" rounds the weights to so many bits, a scale a filter.
    Batch norm's statistics are taken again each time, as the steps do, and of the whole network for the baseline
    (after training on blended images that alone can cost points); nothing is trained. `on_layer` hears which layer of
    how many is next. The network stays as it is. Raises CompressError.
    """
    check(kind, strengths)
    norms = followers(network) if kind == "filters" else {}
    layers = _layers(network, kind)
    rows = []
    for place, (name, layer) in enumerate(layers.items()):
        on_layer(name, place + 1, len(layers))
        for strength in sorted(strengths, reverse=kind in FALLING):
            changed = copy.deepcopy(network)
            with torch.no_grad():
                left = _change(changed, name, kind, strength, norms.get(name))
            recalibrate(changed, exam.calibration, 0)
            about = {"layer": name, "weights": layer.weight.numel(), "filters": layer.weight.shape[0]}
            rows.append({**about, **left, "strength": strength, **_asked(changed, exam)})
    alone = copy.deepcopy(network)
    recalibrate(alone, exam.calibration, 0)
    scores = {"untouched": _asked(network, exam), "baseline": _asked(alone, exam)}
    return {"kind": kind, "images": len(exam.images), **scores, "rows": rows}


def check(kind: Kind, strengths: Sequence[float]) -> None:
    """Raises CompressError for strengths that mean nothing."""
    good = (lambda s: s in range(1, 9)) if kind == "quantize" else (lambda s: 0 < s < 1)
    if not strengths or not all(map(good, strengths)):
        wanted = "integers from 1 to 8 (bits)" if kind == "quantize" else "shares between 0 and 1"
        raise CompressError(
            f"strengths of {kind} are {wanted}, not {', '.join(f'{one:g}' for one in strengths) or 'none'}"
        )


def _layers(network: nn.Module, kind: Kind) -> dict[str, Any]:
    """The layers that can be compressed so, by name."""
    from kdcore.models.nets.factored import splittable

    layers: dict[str, Any] = layers_of(network)
    if kind in ("prune", "quantize"):
        return layers
    head = models.head(network)
    return {
        name: layer for name, layer in layers.items() if layer is not head and (kind == "filters" or splittable(layer))
    }


def _change(network: nn.Module, name: str, kind: Kind, strength: float, norm: str | None) -> dict[str, int]:
    """Compresses the layer; the weights that it then has, where their count is not the strength's."""
    layer: Any = network.get_submodule(name)
    if kind == "quantize":
        scale = quant_grid.scales(layer.weight, int(strength), clip="mse")
        layer.weight.copy_(quant_grid.codes(layer.weight, scale, int(strength)) * scale)
    elif kind == "prune":
        layer.weight.mul_(picked({name: layer.weight.abs()}, strength, "layer")[name])
    elif kind == "rank":
        return {"left": _cut(layer.weight, strength)}
    else:
        size = layer.weight.flatten(1).norm(dim=1)
        silent = torch.topk(size, min(round(strength * len(size)), len(size) - 1), largest=False).indices
        for module in (layer, network.get_submodule(norm) if norm else None):
            for parameter in module.parameters() if module is not None else ():
                parameter[silent] = 0
    return {}


def _cut(weight: torch.Tensor, share: float) -> int:
    """Cuts the rank; the weights of the factors, or of the whole where those are more."""
    kind = factors.kind_of(weight, "spatial")
    ranks = [factors.rank(share, len(values)) for values in factors.spectra(weight, kind)]
    left = factors.weights(weight.shape, kind, ranks)
    if left < weight.numel():
        weight.copy_(factors.product(factors.factors(weight, kind, ranks), kind))
    return min(left, weight.numel())


def _asked(network: nn.Module, exam: EvalSet) -> dict[str, float]:
    network.eval()
    with torch.no_grad():
        logits = torch.cat([network(part) for part in exam.images.split(BATCH)])
    right, loss = exam.labelling.right(logits, exam.targets), exam.labelling.loss(logits, exam.targets)
    return {"accuracy": float(right), "loss": float(loss.nan_to_num(posinf=1e9))}


def policy(measured: Mapping[str, Any], budget: float) -> dict[str, Any]:
    """The strengths by layer that lose least with the weights in at most the share `budget` of their bytes in fp32.

    Losses of layers are taken to add up; the best mix is then found exactly, to a step of 1/20,000 of the budget.
    Bytes are those of the measured layers: four a weight that is not zero, or whose filter stays (the inputs that the
    next layer loses come on top), four a weight of the factors, or those of codes and scales. `policy` names the
    layers that are changed; `share` is what is reached, `loss` the sum of the losses (nats). Raises CompressError
    where even the strongest changes do not reach the budget.
    """
    import numpy as np

    choices = _choices(measured)
    whole = sum(options[0].bytes for options in choices.values())
    unit = budget * whole / UNITS
    best = np.zeros(UNITS + 1)  # the least loss of the layers so far in so many units
    taken = []
    for options in choices.values():
        with_each = np.full((len(options), UNITS + 1), np.inf)
        for place, option in enumerate(options):
            units = ceil(option.bytes / unit - 1e-9)
            if units <= UNITS:
                with_each[place, units:] = best[: UNITS + 1 - units] + option.loss
        taken.append(with_each.argmin(0))
        best = with_each.min(0)
    if not np.isfinite(best[-1]):
        reached = sum(options[-1].bytes for options in choices.values()) / whole
        raise CompressError(
            f"the strongest compression measured reaches {100 * reached:.1f} % of the "
            f"{BUDGETED[measured['kind']]}, not {100 * budget:g} %"
        )
    chosen: dict[str, _Choice] = {}
    left = UNITS
    for (name, options), places in zip(reversed(choices.items()), reversed(taken), strict=True):
        chosen[name] = options[places[left]]
        left -= ceil(chosen[name].bytes / unit - 1e-9)
    return {
        "budget": budget,
        "share": sum(choice.bytes for choice in chosen.values()) / whole,
        "loss": sum(choice.loss for choice in chosen.values()),
        "policy": {name: chosen[name].strength for name in choices if chosen[name].strength},
    }


def step(measured: Mapping[str, Any], mixed: Mapping[str, Any]) -> dict[str, Any] | None:
    """The compression step that carries a `policy` out, for a Recipe; None where it changes no layer.

    Bits are trained; a layer of a single bit cannot be, and all are then rounded without training.
    """
    chosen = mixed["policy"]
    name = "weight_quant" if measured["kind"] == "quantize" and 1 in chosen.values() else STEPS[measured["kind"]]
    return {"step": name, "policy": chosen} if chosen else None


class _Choice(NamedTuple):
    strength: float
    bytes: float
    loss: float


def _choices(measured: Mapping[str, Any]) -> dict[str, list[_Choice]]:
    """What can be done to each layer, nothing first, then from mild to strong; a stronger change never loses less."""
    found: dict[str, list[_Choice]] = {}
    for row in measured["rows"]:
        weights, strength = row["weights"], row["strength"]
        options = found.setdefault(row["layer"], [_Choice(0, 4.0 * weights, 0.0)])
        if measured["kind"] == "quantize":
            size = weights * strength / 8 + 4 * row["filters"]
        else:
            size = 4 * row.get("left", weights * (1 - strength))
        loss = max(options[-1].loss, row["loss"] - measured["baseline"]["loss"])
        if size < options[-1].bytes:
            options.append(_Choice(strength, size, loss))
    return found
