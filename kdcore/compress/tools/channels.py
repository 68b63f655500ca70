"""Filters that can only leave together, what they are worth, and their removal. torch-pruning follows the network."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple

from kdcore.lazy import nn, torch

Worth = Callable[[Any], Any]  # one of torch-pruning's importances: a group to scores (channels,), or None


class Group(NamedTuple):
    """Layers whose filters leave together, as those before a shortcut do.

    `root`: where the removal begins, by `handler`. `layers`: names of those that lose filters. `repeats`: of every
    this many equal parts (groups of a convolution, attention heads) each loses the same places. `scores`: of the
    places, (channels / repeats,).
    """

    root: Any
    handler: Any
    layers: tuple[str, ...]
    repeats: int
    scores: torch.Tensor


class Rule(NamedTuple):
    """How many leave: `shares` of the channels that there were at `first`, by group; rounded to `round_to`.

    `shares`: one share, of each group or of all `together`; or by layer, where groups take the least of theirs and
    layers that are not named stay whole.
    """

    shares: float | Mapping[str, float]
    together: bool
    round_to: int
    first: dict[str, int]


def torch_pruning() -> ModuleType:
    """The library, without the timm that it imports for a counter of operations: nothing here counts with it.

    Where timm is installed, that import takes twice as long as all the rest.
    """
    unused = sys.modules.setdefault("timm", None)  # type: ignore[arg-type]  # None: "not installed", says the import
    try:
        import torch_pruning
    finally:
        if unused is None:
            del sys.modules["timm"]
    return torch_pruning


def cut(network: nn.Module, images: torch.Tensor, worth: Worth, kept: Sequence[nn.Module], rule: Rule) -> None:
    """Removes channels, in place. `images` (n, C, H, W) to follow the network with; `kept`: layers that lose none.

    `rule.first` is filled where it is empty. Raises whatever the tracing runs into.
    """
    empty = torch_pruning().DependencyGraph()
    graph = empty.build_dependency(network, images, unwrapped_parameters=_positions(network), verbose=False)
    found = _groups(graph, network, worth, kept)
    if not rule.first:
        rule.first.update({name: len(group.scores) for name, group in found.items()})
    for name, left in _left(found, rule).items():
        group = found[name]
        places = torch.argsort(group.scores)[: max(0, len(group.scores) - left)]
        size = len(group.scores)
        indices = [int(place) + part * size for part in range(group.repeats) for place in places]
        leaving = graph.get_pruning_group(group.root, group.handler, sorted(indices))
        if indices and graph.check_pruning_group(leaving):
            leaving.prune()


def _groups(graph: Any, network: nn.Module, worth: Worth, kept: Sequence[nn.Module]) -> dict[str, Group]:
    """All groups that can lose channels and that `worth` can rank, by the name of their first layer."""
    names = {module: name for name, module in network.named_modules()}
    parts = _parts(network)
    found = {}
    for members in graph.get_all_groups(ignored_layers=[one for layer in kept for one in layer.modules()]):
        sides = [(dep.target.module, graph.is_out_channel_pruning_fn(dep.handler)) for dep, _ in members]
        sides = [(module, out) for module, out in sides if module in names]
        widths = [graph.get_out_channels(one) if out else graph.get_in_channels(one) for one, out in sides]
        scores = None if 1 in widths else worth(members)
        if scores is None:
            continue
        repeats = math.lcm(*(parts.get(module, (1, 1))[not out] for module, out in sides))
        root = members[0].dep.target.module
        found[names[root]] = Group(
            root,
            members[0].dep.handler,
            tuple(names[module] for module, out in sides if out and isinstance(module, nn.Conv2d | nn.Linear)),
            repeats,
            scores.detach().cpu().view(repeats, -1).mean(0),
        )
    return found


def _parts(network: nn.Module) -> dict[nn.Module, tuple[int, int]]:
    """Equal parts that a layer's outputs and inputs fall into, where there are several."""
    from kdcore.models.nets.vit import Attention

    found: dict[nn.Module, tuple[int, int]] = {}
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and 1 < module.groups < module.out_channels:
            found[module] = (module.groups, module.groups)
        elif isinstance(module, nn.MultiheadAttention):
            found[module] = (module.num_heads, module.num_heads)
        elif isinstance(module, Attention):
            found |= dict.fromkeys((module.query, module.key, module.value), (module.heads, 1))
    return found


def _positions(network: nn.Module) -> list[tuple[nn.Parameter, int]]:
    """Parameters (C, h, w) that belong to no layer lose channels on the first axis; torch-pruning takes the last."""
    layers = nn.Conv2d | nn.Linear | nn.LayerNorm | nn.MultiheadAttention
    alone = [module for module in network.modules() if not isinstance(module, layers)]
    loose = [parameter for module in alone for parameter in module.parameters(recurse=False)]
    return [(parameter, 0) for parameter in loose if parameter.ndim == 3 and parameter.shape[0] > 1]


def _left(found: Mapping[str, Group], rule: Rule) -> dict[str, int]:
    """How many places stay in each group that loses some."""
    left = {}
    threshold = _threshold(found, rule) if rule.together and not isinstance(rule.shares, Mapping) else None
    for name, group in found.items():
        if threshold is not None:
            staying = int((group.scores > threshold).sum())
        else:
            share = _share(group, rule.shares)
            staying = int(rule.first[name] * (1 - share)) if share else len(group.scores)
        if staying < len(group.scores):
            left[name] = _rounded(staying, group, rule.round_to)
    return left


def _share(group: Group, shares: float | Mapping[str, float]) -> float:
    if isinstance(shares, Mapping):
        return min((shares.get(layer, 0.0) for layer in group.layers), default=0.0)
    return shares


def _threshold(found: Mapping[str, Group], rule: Rule) -> float | None:
    """The highest of the scores that leave, of all groups together; None where none has to."""
    assert not isinstance(rule.shares, Mapping)
    if not found:
        return None
    scores = torch.cat([group.scores for group in found.values()])
    leaving = len(scores) - int(sum(rule.first.values()) * (1 - rule.shares))
    return float(torch.topk(scores, leaving, largest=False).values[-1]) if leaving > 0 else -math.inf


def _rounded(staying: int, group: Group, round_to: int) -> int:
    """The nearest number of places with which the channels are a multiple of `round_to`; at least one of them."""
    unit = round_to // math.gcd(round_to, group.repeats)
    return max(1, int(staying / unit + 0.5)) * unit
