"""A person's own modules: looked at before the engine has them, and given the names that it asks for."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from kdcore.export import runtime
from kdcore.models import names
from kdcore.notebook.images import Given, refuse
from kdcore.problems import first_line

LISTED = 12  # modules that a message names


class Seen(NamedTuple):
    """A module that was called once, by its path, and the shape of what it gave, (B, C, H, W) or (B, F)."""

    path: str
    shape: tuple[int, ...]


def example(given: Given) -> torch.Tensor:
    """Two images as networks take them."""
    return torch.from_numpy(runtime.pixels(given.images[:2].transpose(0, 2, 3, 1)))


def prepared(network: nn.Module, argument: str, images: torch.Tensor, taps: Sequence[str] | None = None) -> nn.Module:
    """A copy of the network on the CPU, in evaluation mode, whose classifier and taps are named.

    `taps`: paths of modules; None for automatic ones. Raises RecipeError where it does not turn images (2, C, H, W)
    into finite logits (2, K), and for taps that are not there.
    """
    if not isinstance(network, nn.Module):
        refuse(argument, f"takes a torch.nn.Module, not {type(network).__name__}")
    try:
        own = copy.deepcopy(network).cpu().float().eval()
    except Exception as error:  # a module's own code
        refuse(argument, f"the module cannot be copied: {first_line(error)}")
    if not any(True for _ in own.parameters()):
        refuse(argument, "the module has no parameters")
    seen = _called(own, argument, images)
    weighted = [one.path for one in seen if isinstance(own.get_submodule(one.path), nn.Linear | nn.Conv2d)]
    head = weighted[-1] if weighted else ""
    before = seen[: [one.path for one in seen].index(head)] if head else seen
    names.give(own, head, automatic(before) if taps is None else _known(taps, argument, seen))
    return own


def classes(network: nn.Module, images: torch.Tensor) -> int:
    """How many logits a prepared network gives."""
    with torch.no_grad():
        return int(network(images).shape[1])


def automatic(seen: Sequence[Seen]) -> tuple[str, ...]:
    """The last module before each change of the maps' size; of a network without maps, of the vectors' length."""
    maps = [one for one in seen if len(one.shape) == 4 and max(one.shape[2:]) > 1]
    last: dict[tuple[int, ...], str] = {}
    for path, shape in maps or [one for one in seen if len(one.shape) == 2]:
        size = shape[2:] if maps else shape[1:]
        last.pop(size, None)
        last[size] = path
    return tuple(last.values())


def _called(network: nn.Module, argument: str, images: torch.Tensor) -> list[Seen]:
    """The modules that were called once and gave maps or vectors, in the order in which they ended."""
    calls: dict[str, list[tuple[int, ...]]] = {}
    hooks = []
    for path, module in network.named_modules():
        if path:
            hooks.append(module.register_forward_hook(_listen(calls, path)))
    try:
        with torch.no_grad():
            logits = network(images)
    except Exception as error:  # a module's own code
        refuse(argument, f"it does not run on images {tuple(images.shape)}: {first_line(error)}")
    finally:
        for hook in hooks:
            hook.remove()
    if not isinstance(logits, torch.Tensor) or logits.ndim != 2 or len(logits) != len(images) or logits.shape[1] < 2:
        given = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        refuse(argument, f"it must give logits (N, K) for images (N, C, H, W), not {given}: wrap it")
    if not np.isfinite(logits.numpy()).all():
        refuse(argument, "its logits are not finite")
    return [Seen(path, shapes[0]) for path, shapes in calls.items() if len(shapes) == 1 and len(shapes[0]) in (2, 4)]


def _listen(calls: dict[str, list[tuple[int, ...]]], path: str):  # type: ignore[no-untyped-def]
    def hook(module: nn.Module, inputs: object, output: object) -> None:
        calls.setdefault(path, []).append(tuple(output.shape) if isinstance(output, torch.Tensor) else ())

    return hook


def _known(taps: Sequence[str], argument: str, seen: Sequence[Seen]) -> tuple[str, ...]:
    if isinstance(taps, str):
        taps = (taps,)
    paths = [one.path for one in seen]
    for tap in taps:
        if tap not in paths:
            shown = ", ".join(paths[:LISTED]) + (f" and {len(paths) - LISTED} more" if len(paths) > LISTED else "")
            refuse(f"taps.{argument}", f"no module {tap!r} gives maps or vectors; there are: {shown}")
    return tuple(taps)
