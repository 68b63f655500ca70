"""Attention heads and feed-forward neurons of text networks: what they are worth, and their removal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from kdcore import inputs, models
from kdcore.compress.step import StepInput
from kdcore.compress.tools.gradients import labelled
from kdcore.lazy import nn, torch

BATCH = 32


class Units(NamedTuple):
    """The heads or the neurons of a layer. `kind`: "heads" or "neurons". `before`: linear layers with `width` rows for
    each of them; `after`: the one with `width` columns for each."""

    kind: str
    before: tuple[nn.Linear, ...]
    after: nn.Linear
    width: int

    @property
    def number(self) -> int:
        return self.after.in_features // self.width

    def keep(self, name: str, places: torch.Tensor) -> dict[str, Any]:
        """Removes all but those at `places` (K,), in order; the row of a report."""
        row = {"name": name, "kind": self.kind, "before": self.number, "after": len(places)}
        rows = (places[:, None] * self.width + torch.arange(self.width)).flatten()
        for layer in self.before:
            layer.weight = nn.Parameter(layer.weight.detach()[rows].clone())
            layer.bias = nn.Parameter(layer.bias.detach()[rows].clone())
            layer.out_features = len(rows)
        self.after.weight = nn.Parameter(self.after.weight.detach()[:, rows].clone())
        self.after.in_features = len(rows)
        return row


def of(network: nn.Module) -> dict[str, Units]:
    """The heads and the neurons of every block, by the name of the module that has them."""
    found: dict[str, Units] = {}
    for name, block in models.blocks(network).items():
        attention: Any = block.attention
        mlp: Any = block.mlp
        heads = Units("heads", (attention.query, attention.key, attention.value), attention.out, attention.width)
        neurons = Units("neurons", (mlp.linear1,), mlp.linear2, 1)
        found |= {f"{name}.attention": heads, f"{name}.mlp": neurons}
    return found


def scores(found: Mapping[str, Units], material: StepInput, importance: str, count: int) -> dict[str, torch.Tensor]:
    """What each unit is worth, (heads,) or (neurons,), by layer: "gradient", "l2" or "random". Raises CompressError."""
    if importance == "gradient":
        return _by_gradient(found, material, count)
    if importance == "l2":
        return {name: _norms(units) for name, units in found.items()}
    generator = torch.Generator().manual_seed(material.seed)
    return {name: torch.rand(units.number, generator=generator) for name, units in found.items()}


def _norms(units: Units) -> torch.Tensor:
    """L2 norm of all weights that leave with a unit."""
    rows = [layer.weight.detach().square().sum(1) for layer in units.before]
    total = sum(rows) + units.after.weight.detach().square().sum(0)
    return total.view(-1, units.width).sum(1).sqrt()


def _by_gradient(found: Mapping[str, Units], material: StepInput, count: int) -> dict[str, torch.Tensor]:
    """Mean over examples of |sum over the tokens of output times gradient|, of each unit."""
    texts, targets = labelled(material, count)
    kind = inputs.of(material.shape)
    totals = {name: torch.zeros(units.number) for name, units in found.items()}
    for part, wanted in zip(texts.split(BATCH), targets.split(BATCH), strict=True):
        with _outputs(found) as outputs:
            logits = material.network(next(kind.portions(part)))
            loss = material.labelling.loss(logits, wanted.flatten(0, 1)) * len(part)
        for name, gradient in zip(outputs, torch.autograd.grad(loss, list(outputs.values())), strict=True):
            by_unit = (outputs[name].detach() * gradient).sum(1).unflatten(1, (-1, found[name].width)).sum(2)
            totals[name] += by_unit.abs().sum(0) / len(texts)
    return totals


@contextmanager
def _outputs(found: Mapping[str, Units]) -> Iterator[dict[str, torch.Tensor]]:
    """What the units give, (B, L, units * width), by layer, of the batch that goes through the network meanwhile."""
    outputs: dict[str, torch.Tensor] = {}

    def noting(name: str) -> Any:
        return lambda module, given: outputs.__setitem__(name, given[0])

    handles = [units.after.register_forward_pre_hook(noting(name)) for name, units in found.items()]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


def left(scores: Mapping[str, torch.Tensor], share: float, together: bool, unit: int) -> dict[str, torch.Tensor]:
    """The places (K,) that stay in each layer when `share` leaves, of each or of all `together`: the highest scores, in
    order, as many as the nearest multiple of `unit` and at least one of them."""
    normal = {name: values / values.norm().clamp(min=1e-30) for name, values in scores.items()}
    every = torch.cat(list(normal.values()))
    leaving = int(share * len(every) + 0.5)
    least = every.sort().values[leaving] if leaving < len(every) else every.max()
    kept = {}
    for name, values in normal.items():
        staying = int((values >= least).sum()) if together else len(values) * (1 - share)
        count = min(len(values), max(1, int(staying / unit + 0.5)) * unit)
        kept[name] = values.topk(count if share else len(values)).indices.sort().values
    return kept
