"""What networks compute on the way: the outputs of named children, caught by hooks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from kdcore import models


class Capture:
    """Catches the outputs of the named taps at each forward pass. Raises ValueError for a tap that is not there."""

    def __init__(self, network: nn.Module, names: Iterable[str]):
        self._caught: dict[str, torch.Tensor] = {}
        known = models.taps(network)
        self._handles = []
        for name in names:
            if name not in known:
                raise ValueError(f"there is no tap {name!r}; there are: {', '.join(known)}")
            self._handles.append(known[name].register_forward_hook(self._hook(name)))

    def _hook(self, name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
            self._caught[name] = output

        return hook

    def take(self) -> dict[str, torch.Tensor]:
        """The outputs of the last pass by name, float32; forgets them."""
        caught, self._caught = self._caught, {}
        return {name: value.float() for name, value in caught.items()}

    def remove(self) -> None:
        for handle in self._handles:
            handle.remove()
