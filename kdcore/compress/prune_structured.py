"""Structured pruning: whole filters leave, and the network becomes a smaller, ordinary one."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from kdcore.compress.finetune import Finetune
from kdcore.compress.material import CompressError, Material, Outcome
from kdcore.compress.recalibrate import recalibrate
from kdcore.lazy import nn, torch
from kdcore.registry import Options, register


class PruneStructured(Options):
    """Options of structured pruning."""

    ratio: float = Field(0.5, gt=0, le=0.95, description="Share of the filters to remove.")
    importance: Literal["l2", "l1", "bn", "fpgm", "random"] = Field(
        "l2",
        description="Which filters go first: small ones (L2 or L1 norm), those with a small batch-norm scale (bn), "
        "those near the others' geometric median (fpgm), or any (random, a control).",
    )
    round_to: int = Field(
        8,
        ge=1,
        le=64,
        description="Keep a multiple of this many filters, the nearest; others can run slower. "
        "Processors with AVX-512 are fastest at multiples of 16.",
    )
    scope: Literal["layer", "global"] = Field(
        "layer", description="Remove the share from every layer, or the least important of all layers together."
    )
    finetune: Finetune = Field(Finetune(), description="Training after the cut, to win back what it cost.")


@register(
    "step",
    "prune_structured",
    "Remove whole filters: smaller and faster",
    source="Li et al. 2017, arXiv:1608.08710; groups as in Fang et al. 2023, arXiv:2301.12900 (torch-pruning)",
    options=PruneStructured,
    traits={
        "variant": "pruned",
        "stage": "prune",
        "label": lambda options: f"pruned {100 * options.ratio:g} %",
        "faster": True,
    },
)
def prune(material: Material, options: PruneStructured) -> Outcome:
    """Removes filters from every layer but the classifier, then takes batch norm's statistics again.

    Raises CompressError when torch-pruning cannot follow the network, or would remove nothing.
    """
    network = material.network.requires_grad_(True)
    before = _shapes(network)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(material.seed)
        try:
            _pruner(network, material, options).step()
            with torch.no_grad():
                network.eval()(material.images[:2])
        except Exception as error:  # torch-pruning raises whatever its tracing runs into
            name = type(network).__name__
            raise CompressError(f"torch-pruning cannot prune this {name}: {error or type(error).__name__}") from error
    after = _shapes(network)
    if after == before:
        raise CompressError(
            f"nothing was removed: a ratio of {options.ratio:g} leaves no layer with fewer filters when they are "
            f"rounded to {options.round_to}, or the network has nothing that {options.importance!r} could rank"
        )
    recalibrate(network, material.images, material.seed)
    return Outcome(network, _report(before, after))


def _pruner(network: nn.Module, material: Material, options: PruneStructured) -> Any:
    import torch_pruning

    class Pruner(torch_pruning.BasePruner):
        """Rounds the filters that stay to the nearest multiple, at least one; its parent rounds down, to 0 too."""

        def _round_to(self, n_pruned: int, current_channels: int, round_to: int) -> int:
            multiples = max(1, int((current_channels - n_pruned) / round_to + 0.5))
            return max(0, current_channels - multiples * round_to)

    importances = {
        "l2": lambda: torch_pruning.importance.GroupMagnitudeImportance(p=2),
        "l1": lambda: torch_pruning.importance.GroupMagnitudeImportance(p=1),
        "bn": torch_pruning.importance.BNScaleImportance,
        "fpgm": torch_pruning.importance.FPGMImportance,
        "random": torch_pruning.importance.RandomImportance,
    }
    return Pruner(
        network,
        material.images[:2],
        importance=importances[options.importance](),
        pruning_ratio=options.ratio,
        global_pruning=options.scope == "global",
        round_to=options.round_to,
        ignored_layers=_kept(network),
    )


def _kept(network: nn.Module) -> list[nn.Module]:
    """Layers that keep their filters: the classifier, and the projector's last, which feeds a borrowed classifier."""
    from kdcore import models

    projector = getattr(network, "projector", None)
    return [models.head(network), *([projector.conv3] if isinstance(projector, nn.Module) else [])]


def _shapes(network: nn.Module) -> dict[str, tuple[int, ...]]:
    layers = nn.Conv2d | nn.Linear
    return {name: tuple(m.weight.shape) for name, m in network.named_modules() if isinstance(m, layers)}


def _report(before: dict[str, tuple[int, ...]], after: dict[str, tuple[int, ...]]) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "before": list(before[name]),
            "after": list(shape),
            "filters_before": before[name][0],
            "filters": shape[0],
            "removed": 1 - shape[0] / before[name][0],
        }
        for name, shape in after.items()
    ]
