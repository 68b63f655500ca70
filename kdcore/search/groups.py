"""Groups of layers that a search treats alike: the first, the last, and those between them by their sensitivity.

Layer sensitivity is measured once, on the Recipe's student without steps (or the original model). It says which layers
are in which group, and where a search begins. No torch, no Optuna.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np

from kdcore.compress.step import CompressError
from kdcore.compress.tools.sensitivity import policy
from kdcore.registry import Searched

FIRST, LAST = "first", "last"
BETWEEN = {1: ("middle",), 2: ("sensitive", "robust")}  # by how many layers are between the first and the last
TERCILES = ("sensitive", "middle", "robust")
LEAST = 2  # layers, for groups to differ


class Groups(NamedTuple):
    """`layers`: the group of each layer, from the network's first to its last. `measured`: their sensitivity."""

    layers: Mapping[str, str]
    measured: Mapping[str, Any]

    @property
    def names(self) -> list[str]:
        return list(dict.fromkeys(self.layers.values()))

    def among(self, names: Sequence[str]) -> dict[str, str]:
        """The groups of the layers of another network, which may be deeper, or have some of them split.

        A layer that is not known has the group of the one before it.
        """
        found: dict[str, str] = {}
        group = self.names[0]
        for name in names:
            ancestors = (name.rsplit(".", cut)[0] for cut in range(name.count(".") + 1))
            group = next((self.layers[one] for one in ancestors if one in self.layers), group)
            found[name] = group
        return found

    def start(self, budget: float, searched: Searched) -> dict[str, float]:
        """By group, the mean of what the layers get in the mix that loses least within `budget`.

        `budget`: a share of their bytes. Where it cannot be reached, the strongest change that was measured.
        """
        try:
            mix = policy(self.measured, budget)["policy"]
        except CompressError:
            mix = {
                row["layer"]: row["strength"] for row in self.measured["rows"]
            }  # the last row of each is the strongest
        untouched = searched.high if searched.smallest == searched.low else searched.low
        weights = {row["layer"]: row["weights"] for row in self.measured["rows"]}
        found = {}
        for group in self.names:
            mine = [name for name, other in self.layers.items() if other == group]
            total = sum(mix.get(name, untouched) * weights[name] for name in mine) / sum(weights[name] for name in mine)
            found[group] = _of_range(total, searched)
        return found


def groups(measured: Mapping[str, Any]) -> Groups | None:
    """The groups of the layers in a document of `sensitivity.measure`; None of too few layers."""
    losses = {name: _loss(measured, name) for name in dict.fromkeys(row["layer"] for row in measured["rows"])}
    if len(losses) < LEAST:
        return None
    first, *between, last = losses
    ranked = sorted(between, key=lambda name: -losses[name])
    names = BETWEEN.get(len(ranked), TERCILES)
    parts = np.array_split(np.arange(len(ranked)), len(names))
    of = {ranked[place]: name for name, part in zip(names, parts, strict=True) for place in part}
    of |= {first: FIRST, last: LAST}
    return Groups({name: of[name] for name in losses}, measured)


def _loss(measured: Mapping[str, Any], layer: str) -> float:
    """What the layer's changes cost on average (nats)."""
    return fmean(row["loss"] for row in measured["rows"] if row["layer"] == layer)


def _of_range(value: float, searched: Searched) -> float:
    inside = min(max(value, searched.low), searched.high)
    whole = isinstance(searched.low, int) and isinstance(searched.high, int)
    return round(inside) if whole else float(f"{inside:.3g}")
