"""What networks compute on the way: the outputs of named children, caught by hooks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from kdcore import models


class Capture:
    """Catches the outputs of the named taps at each forward pass. Raises ValueError for a tap that is not there.

    A name that is none of the network's taps is the path of a module in it.
    A name that ends in `models.BEFORE_ACTIVATION` means the tap's features before the ReLU at their end. Where they
    do not end in one but go into a batch norm (networks with pre-activation, such as WRN), what that one makes of them;
    else the features as they are.
    """

    def __init__(self, network: nn.Module, names: Iterable[str]):
        self._caught: dict[str, torch.Tensor] = {}
        self._passing: dict[str, torch.Tensor] = {}  # what is only needed until the pass is over
        known = models.taps(network)
        modules = dict(network.named_modules()) | known
        self._handles: list[RemovableHandle] = []
        for name in names:
            tap = name.removesuffix(models.BEFORE_ACTIVATION)
            if tap not in modules:
                raise ValueError(f"there is no tap {tap!r}; taps: {', '.join(known)}")
            if tap == name:
                self._handles.append(modules[tap].register_forward_hook(self._hook(name)))
            else:
                self._watch(name, modules[tap], _following(network, modules[tap]))

    def _hook(self, name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
            self._caught[name] = output

        return hook

    def _watch(self, name: str, tap: nn.Module, norm: nn.Module | None) -> None:
        """Hooks for the features of `tap` before its activation. `norm`: the batch norm that may follow it."""
        passing, entering, leaving = self._passing, f"{name} enters", f"{name} leaves"

        def enter(module: nn.Module, inputs: Any) -> None:
            passing[entering] = inputs[0].clone()  # the ReLU may work in place

        def leave(module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
            passing[leaving] = output

        def end(module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
            activated = output is passing.pop(leaving, None)
            self._caught[name] = passing.pop(entering) if activated else output
            if not activated:
                passing[name] = output

        def normalised(module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
            if inputs[0] is passing.pop(name, None):
                self._caught[name] = output.clone()

        relus = [module for module in tap.modules() if isinstance(module, nn.ReLU)]
        for relu in relus[-1:]:
            self._handles += [relu.register_forward_pre_hook(enter), relu.register_forward_hook(leave)]
        self._handles.append(tap.register_forward_hook(end))
        if norm is not None:
            self._handles.append(norm.register_forward_hook(normalised))

    def take(self) -> dict[str, torch.Tensor]:
        """The outputs of the last pass by name, float32; forgets them."""
        caught, self._caught = self._caught, {}
        self._passing.clear()
        return {name: value.float() for name, value in caught.items()}

    def remove(self) -> None:
        for handle in self._handles:
            handle.remove()


def _following(network: nn.Module, tap: nn.Module) -> nn.Module | None:
    """The first batch norm after a child of the network."""
    children = list(network.children())
    place = next((number for number, child in enumerate(children) if child is tap), len(children))
    modules = (module for child in children[place + 1 :] for module in child.modules())
    return next((module for module in modules if isinstance(module, nn.BatchNorm2d)), None)
