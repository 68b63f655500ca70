"""Which single weights stay: those of the highest scores in the network, a layer, a filter, or each group of M."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import ceil
from typing import Any, Literal

from kdcore.compress.step import CompressError
from kdcore.lazy import nn, torch

Scope = Literal["global", "layer", "filter"]
Scores = Mapping[str, Any]  # tensors by the layer's name, of the weight's shape (F, C, …)
Masks = dict[str, Any]  # likewise, bool: True where the weight stays
FLOOR = 0.1  # of what an even cut would leave of a layer: so much stays of each, wherever the lowest scores are


def layers_of(network: nn.Module) -> dict[str, Any]:
    """The layers whose weights can be pruned, by name: convolutions and linear layers, the classifier too."""
    return {name: m for name, m in network.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}


def check_policy(policy: Mapping[str, Any], layers: Mapping[str, Any]) -> None:
    """Raises CompressError where a policy names what is no layer."""
    if unknown := sorted(policy.keys() - layers.keys()):
        raise CompressError(f"policy names {unknown[0]}, which is not a layer; layers: {', '.join(layers)}")


def keep_zeros(network: nn.Module) -> Callable[[], None]:
    """What sets to zero again, after an optimizer step, the weights that are zero now."""
    layers = layers_of(network)
    masks = {name: layer.weight != 0 for name, layer in layers.items()}

    def constrain() -> None:
        with torch.no_grad():
            for name, layer in layers.items():
                masks[name] = masks[name].to(layer.weight.device)
                layer.weight.mul_(masks[name])

    return constrain


def zeros(network: nn.Module) -> list[dict[str, Any]]:
    """A row a layer for the report: its weights, how many of them are zero, and their share."""
    rows = []
    for name, layer in layers_of(network).items():
        none, weights = int((layer.weight == 0).sum()), layer.weight.numel()
        rows.append({"name": name, "weights": weights, "zeros": none, "sparsity": none / weights})
    return rows


def picked(scores: Scores, shares: float | Mapping[str, float], scope: Scope) -> Masks:
    """The lowest `shares` of the scores leave, ranked together in each `scope`; a share a layer is ranked by layer.

    Layers that `shares` does not name stay whole. Of the whole network, each layer keeps a FLOOR: one whose scores are
    all low would be emptied, and nothing comes through an empty layer.
    """
    if isinstance(shares, Mapping):
        return {name: _of_layer(values, shares.get(name, 0.0)) for name, values in scores.items()}
    if scope == "layer":
        return {name: _of_layer(values, shares) for name, values in scores.items()}
    if scope == "filter":
        return {name: _of_rows(values.flatten(1), shares).view_as(values) for name, values in scores.items()}
    masks = _together(scores, shares)
    floors = {name: ceil(FLOOR * (1 - shares) * values.numel()) for name, values in scores.items()}
    if any(int(masks[name].sum()) < floor for name, floor in floors.items()):
        masks = _together({name: _first(values, floors[name]) for name, values in scores.items()}, shares)
    return masks


def _together(scores: Scores, share: float) -> Masks:
    flat = _of_layer(torch.cat([values.flatten() for values in scores.values()]), share)
    parts = flat.split([values.numel() for values in scores.values()])
    return {name: part.view_as(scores[name]) for name, part in zip(scores, parts, strict=True)}


def _first(values: torch.Tensor, count: int) -> torch.Tensor:
    """The same scores, the `count` highest of them above all others; what is zero already stays last."""
    flat = values.flatten()
    highest = torch.topk(flat, count).indices
    return flat.scatter(0, highest[flat[highest] > -torch.inf], torch.inf).view_as(values)


def check_masks(masks: Masks, layers: Mapping[str, Any]) -> None:
    """Raises CompressError where nothing stays of a layer: nothing would come through it."""
    for name, mask in masks.items():
        weight = layers[name].weight
        if not (mask.to(weight.device) & (weight != 0)).any() and (weight != 0).any():
            raise CompressError(
                f"none of the {weight.numel():,} weights of {name} would stay, so no signal would pass: choose a "
                "smaller ratio, or another scope or policy"
            )


def _of_layer(values: torch.Tensor, share: float) -> torch.Tensor:
    return _of_rows(values.reshape(1, -1), share).view_as(values)


def _of_rows(rows: torch.Tensor, share: float) -> torch.Tensor:
    count = round(share * rows.shape[1])
    lowest = torch.topk(rows, count, dim=1, largest=False).indices
    return torch.ones_like(rows, dtype=torch.bool).scatter_(1, lowest, value=False)


def patterned(scores: Scores, pattern: str) -> Masks:
    """Of every M neighbouring input channels of a filter, the N highest scores stay; `pattern` is "N:M".

    A layer whose input channels are no multiple of M stays whole.
    """
    kept, group = map(int, pattern.split(":"))
    return {name: _of_groups(values, kept, group) for name, values in scores.items()}


def _of_groups(values: torch.Tensor, kept: int, group: int) -> torch.Tensor:
    if values.shape[1] % group:
        return torch.ones_like(values, dtype=torch.bool)
    channels_last = values.movedim(1, -1)
    rows = _of_rows(channels_last.reshape(-1, group), 1 - kept / group)
    return rows.view(channels_last.shape).movedim(-1, 1)
