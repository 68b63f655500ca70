"""Unstructured pruning: single weights become zero, and stay where they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from pydantic import Field

from kdcore.compress.finetune import Finetune
from kdcore.compress.material import Material, Outcome
from kdcore.compress.recalibrate import recalibrate
from kdcore.lazy import nn, torch
from kdcore.registry import Options, register


class PruneUnstructured(Options):
    """Options of unstructured pruning."""

    ratio: float = Field(0.8, gt=0, le=0.99, description="Share of the weights to set to zero.")
    scope: Literal["global", "layer"] = Field(
        "global", description="The smallest weights of the whole network, or of each layer."
    )
    finetune: Finetune = Field(Finetune(), description="Training after the cut, to win back what it cost.")


@register(
    "step",
    "prune_unstructured",
    "Set the smallest weights to zero: smaller only when zipped, no faster",
    source="Han et al. 2015, arXiv:1506.02626",
    options=PruneUnstructured,
    traits={
        "variant": "pruned",
        "stage": "prune",
        "label": lambda options: f"{100 * options.ratio:g} % zeros",
        "faster": False,
        "why": "Zeros here and there: the runtime multiplies by them all the same, and the file keeps them. "
        "Only a zip of it is smaller.",
    },
)
def prune(material: Material, options: PruneUnstructured) -> Outcome:
    """Sets the weights of smallest magnitude to zero, the classifier's too, and takes batch norm's statistics again.

    The zeros are in the weights themselves; `constrain` puts them back after each step of the fine-tuning.
    """
    from torch.nn.utils import prune as torch_prune

    layers = {name: m for name, m in material.network.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}
    if options.scope == "global":
        everything = [(layer, "weight") for layer in layers.values()]
        torch_prune.global_unstructured(everything, torch_prune.L1Unstructured, amount=options.ratio)
    else:
        for layer in layers.values():
            torch_prune.l1_unstructured(layer, "weight", amount=options.ratio)
    for layer in layers.values():
        torch_prune.remove(layer, "weight")
    recalibrate(material.network, material.images, material.seed)
    return Outcome(material.network, _report(layers), constrain=_constrain(list(layers.values())))


def _constrain(layers: list[Any]) -> Callable[[], None]:
    masks = [layer.weight != 0 for layer in layers]

    def constrain() -> None:
        with torch.no_grad():
            for place, layer in enumerate(layers):
                masks[place] = masks[place].to(layer.weight.device)
                layer.weight.mul_(masks[place])

    return constrain


def _report(layers: dict[str, Any]) -> list[dict[str, Any]]:
    zeros = {name: int((layer.weight == 0).sum()) for name, layer in layers.items()}
    return [
        {
            "name": name,
            "weights": layer.weight.numel(),
            "zeros": zeros[name],
            "sparsity": zeros[name] / layer.weight.numel(),
        }
        for name, layer in layers.items()
    ]
