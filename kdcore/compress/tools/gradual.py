"""Pruning while the network is trained: first much, then less and less, until the wanted share is zero.

The state (what stays, and the gradients' scores) is in buffers of the layers, so that a checkpoint holds it; they
are removed at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any, NamedTuple

from kdcore.compress.tools.masks import Scope, Scores, check_masks, layers_of, picked
from kdcore.compress.tools.scores import Importance
from kdcore.lazy import nn, torch

UPDATES = 50  # times that weights are picked, at most
MEMORY = 0.9  # of the running mean of weight times gradient


class PruningSchedule(NamedTuple):
    """What is pruned, and when: from the share `begin` of `steps` steps to the share `end`.

    `shares`: of zeros, one or by layer. `fixed`: what the scores need that does not change, by layer: factors beside
    the magnitudes (wanda), or the scores themselves (random).
    """

    importance: Importance
    shares: float | Mapping[str, float]
    scope: Scope
    steps: int
    begin: float
    end: float
    fixed: Scores

    def due(self) -> set[int]:
        """The steps, counted from 1, after which weights are picked."""
        first, last = self.begin * self.steps, self.end * self.steps
        count = max(1, min(UPDATES, int(last - first)))
        return {max(1, ceil(first + (last - first) * place / count - 1e-9)) for place in range(1, count + 1)}

    def done(self, step: int) -> float:
        """How much of the shares is zero after `step` steps, 0 to 1: a cubic course (Zhu & Gupta 2017, eq. 1)."""
        first, last = self.begin * self.steps, self.end * self.steps
        return 1 - (1 - min(1.0, max(0.0, (step - first) / (last - first)))) ** 3

    def wanted(self, done: float) -> float | dict[str, float]:
        """The shares of zeros when `done` of the way is behind."""
        if isinstance(self.shares, Mapping):
            return {name: share * done for name, share in self.shares.items()}
        return self.shares * done


class Gradual:
    """Prunes `network` along its training: `constrain` after every optimizer step, `finish` at the end."""

    def __init__(self, network: nn.Module, plan: PruningSchedule):
        self.network, self.plan, self.due = network, plan, plan.due()
        self.layers = layers_of(network)
        self.handles = []
        network.register_buffer("pruning_step", torch.zeros((), dtype=torch.int64))
        for layer in self.layers.values():
            layer.register_buffer("kept", layer.weight != 0)
            if plan.importance in ("taylor", "movement"):
                layer.register_buffer("told", torch.zeros_like(layer.weight))
                self.handles.append(layer.weight.register_post_accumulate_grad_hook(self._listener(layer)))
        self.step: int | None = None

    def _listener(self, layer: Any) -> Any:
        """Keeps weight times gradient: a running mean of it (taylor), or the negative sum (movement)."""

        def hear(weight: torch.Tensor) -> None:
            assert weight.grad is not None
            with torch.no_grad():
                found = (weight * weight.grad).nan_to_num_(0, 0, 0)  # a scaled gradient may overflow
                if self.plan.importance == "movement":
                    layer.told.sub_(found)
                else:
                    layer.told.lerp_(found, 1 - MEMORY)

        return hear

    def constrain(self) -> None:
        """Called after every optimizer step: picks weights where it is due, and keeps the others at zero."""
        clock: Any = self.network.pruning_step
        self.step = (int(clock) if self.step is None else self.step) + 1
        clock.fill_(self.step)
        if self.step in self.due:
            self._pick(self.plan.wanted(self.plan.done(self.step)))
        with torch.no_grad():
            for layer in self.layers.values():
                layer.weight.mul_(layer.kept)

    def _pick(self, shares: float | Mapping[str, float]) -> None:
        masks = picked(self._scores(), shares, self.plan.scope)
        check_masks(masks, self.layers)
        for name, mask in masks.items():
            self.layers[name].kept.copy_(mask)

    def _scores(self) -> Scores:
        """What is zero stays so: it comes first."""
        found = {}
        for name, layer in self.layers.items():
            score = layer.weight.detach().abs()
            match self.plan.importance:
                case "random":
                    score = self.plan.fixed[name].to(score.device)
                case "wanda":
                    score = score * self.plan.fixed[name].to(score.device)
                case "taylor":
                    score = layer.told.abs()
                case "movement":
                    score = layer.told
            found[name] = score.masked_fill(~layer.kept, -torch.inf)
        return found

    def finish(self) -> None:
        """Reaches the wanted shares where the training ended before, sets the zeros, and leaves no trace.

        A running mean of the weights, or the best epoch's, need not have the zeros yet.
        """
        if int(self.network.pruning_step) < max(self.due):  # type: ignore[arg-type]
            self._pick(self.plan.wanted(1.0))
        for handle in self.handles:
            handle.remove()
        with torch.no_grad():
            for layer in self.layers.values():
                layer.weight.mul_(layer.kept)
                del layer.kept
                if hasattr(layer, "told"):
                    del layer.told
        del self.network.pruning_step
