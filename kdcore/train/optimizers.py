"""Optimizers and the course of the learning rate."""

from __future__ import annotations

import math

import torch
from torch import nn

from kdcore.recipe import Train


def optimizer(network: nn.Module, train: Train) -> torch.optim.Optimizer:
    """The optimizer that the Recipe names. Biases and normalisation are not decayed."""
    weights = [p for p in network.parameters() if p.requires_grad and p.ndim > 1]
    others = [p for p in network.parameters() if p.requires_grad and p.ndim <= 1]
    groups = [{"params": weights, "weight_decay": train.weight_decay}, {"params": others, "weight_decay": 0.0}]
    if train.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=train.learning_rate, momentum=0.9, nesterov=True, fused=True)
    return torch.optim.AdamW(groups, lr=train.learning_rate, fused=True)


def factor(schedule: str, step: int, steps: int) -> float:
    """Share of the peak learning rate at `step` of `steps`, in 0..1.

    `one_cycle`: half a cosine up from 1/25 during the first 30 %, then half a cosine down to 0
    (Smith 2018, with fixed momentum). `cosine`: half a cosine down (Loshchilov and Hutter 2017).
    """
    if schedule == "constant":
        return 1.0
    done = (step + 0.5) / steps
    if schedule == "cosine":
        return (1 + math.cos(math.pi * done)) / 2
    if done < 0.3:
        return 1 / 25 + (1 - 1 / 25) * (1 - math.cos(math.pi * done / 0.3)) / 2
    return (1 + math.cos(math.pi * (done - 0.3) / 0.7)) / 2
