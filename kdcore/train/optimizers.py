"""Optimizers and learning-rate schedules."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn

from kdcore.recipe import Train


def optimizer(parameters: Iterable[nn.Parameter], train: Train) -> torch.optim.Optimizer:
    """The optimizer that the Recipe names. Biases and normalisation are decayed only where it says so."""
    trained = [p for p in parameters if p.requires_grad]
    weights = [p for p in trained if p.ndim > 1]
    others = [p for p in trained if p.ndim <= 1]
    decay = train.weight_decay
    groups = [
        {"params": weights, "weight_decay": decay},
        {"params": others, "weight_decay": decay if train.decay_all else 0.0},
    ]
    if train.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=train.learning_rate, momentum=0.9, nesterov=train.nesterov, fused=True)
    return torch.optim.AdamW(groups, lr=train.learning_rate, fused=True)


def factor(train: Train, step: int, steps: int) -> float:
    """Share of the peak learning rate at `step` of `steps`, in 0..1.

    `one_cycle`: half a cosine up from 1/25 during the first 30 %, then half a cosine down to 0
    (Smith 2018, with fixed momentum). `cosine`: half a cosine down (Loshchilov and Hutter 2017).
    `step`: a tenth after each milestone. All of it rises in a line during the warm-up.
    """
    done = (step + 0.5) / steps
    rising = min(1.0, done / train.warmup) if train.warmup else 1.0
    return rising * _course(train, done)


def _course(train: Train, done: float) -> float:
    if train.schedule == "cosine":
        return (1 + math.cos(math.pi * done)) / 2
    if train.schedule == "step":
        return 0.1 ** sum(done > milestone for milestone in train.milestones)
    if train.schedule == "constant":
        return 1.0
    if done < 0.3:
        return 1 / 25 + (1 - 1 / 25) * (1 - math.cos(math.pi * done / 0.3)) / 2
    return (1 + math.cos(math.pi * (done - 0.3) / 0.7)) / 2
