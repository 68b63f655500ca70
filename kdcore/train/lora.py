"""LoRA (Hu et al. 2022, arXiv:2106.09685): low-rank additions are trained in the place of the weights. By `peft`."""

from __future__ import annotations

import importlib
from typing import Any

from torch import nn

from kdcore import hub, models

LAYERS = ("query", "value")  # of every attention, as in the paper's experiments
SCALE = 2  # alpha by rank: what the addition is multiplied by


def attach(network: nn.Module, rank: int) -> None:
    """Freezes all weights but the classifier's, and adds `SCALE * B A` to the layers' weights, in place.

    W + s B A, equation 3: A (rank, inputs) is drawn from torch's generator, B (outputs, rank) begins at zero, so the
    network computes what it did. Raises ValueError where peft is not installed or no layer of LAYERS is there.
    """
    try:
        peft: Any = importlib.import_module("peft")
    except ImportError:
        raise ValueError(f"LoRA needs the package peft: {hub.INSTALL}") from None
    if not _places(network):
        raise ValueError(
            f"this {type(network).__name__} has no attention layers {' and '.join(LAYERS)} to adapt by LoRA"
        )
    config = peft.LoraConfig(r=rank, lora_alpha=SCALE * rank, target_modules=list(LAYERS))
    network.requires_grad_(False)
    peft.inject_adapter_in_model(config, network)
    models.head(network).requires_grad_(True)


def merge(network: nn.Module) -> None:
    """Adds what was learnt to the weights: plain layers again, all of them trainable, in place."""
    tuners: Any = importlib.import_module("peft.tuners.tuners_utils")
    adapted = [(name, one) for name, one in network.named_modules() if isinstance(one, tuners.BaseTunerLayer)]
    for name, layer in adapted:
        layer.merge()
        network.set_submodule(name, layer.get_base_layer())
    network.requires_grad_(True)


def trainable(network: nn.Module, rank: int) -> int:
    """How many parameters of a plain network are trained so: those of the additions and the classifier's."""
    added = sum(rank * (layer.in_features + layer.out_features) for layer in _places(network))
    return added + sum(weight.numel() for weight in models.head(network).parameters())


def _places(network: nn.Module) -> list[nn.Linear]:
    named = (
        (name.rpartition(".")[2], module) for name, module in network.named_modules() if isinstance(module, nn.Linear)
    )
    return [module for name, module in named if name in LAYERS]
