"""The training loop. One loop for every arm: with a teacher it distils, without one it learns from labels."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from kdcore.data import views
from kdcore.distill.method import Method, Seen, cross_entropy
from kdcore.recipe import Train
from kdcore.train import checkpoint, order
from kdcore.train.answers import Answers
from kdcore.train.checkpoint import Progress
from kdcore.train.optimizers import factor, optimizer


class Diverged(RuntimeError):
    """The loss is no number any more. The checkpoint of the last good epoch is still there."""


@dataclass(frozen=True)
class Task:
    """What is to be learnt, and from whom.

    `images` uint8 (N, C, H, W) and `targets` float (N, K), one-hot, or zero where an image has no
    label, both on the device. `validation`: images (M, C, H, W) uint8 and labels (M,). `constrain` is
    called after every optimizer step (it keeps pruned weights at zero).
    """

    images: torch.Tensor
    targets: torch.Tensor
    validation: tuple[torch.Tensor, torch.Tensor]
    train: Train
    steps: int
    precision: str
    seed: int
    method: Method | None = None
    teacher: nn.Module | None = None
    stream: Any = None
    answers: Answers = field(default_factory=Answers)
    constrain: Callable[[], None] | None = None


def fit(
    network: nn.Module,
    task: Task,
    folder: Path,
    *,
    on_epoch: Callable[[dict[str, Any]], None] = lambda row: None,
    check: Callable[[], None] = lambda: None,
) -> Progress:
    """Trains `network` in place, from the checkpoint in `folder` where there is one.

    `history.jsonl` in `folder` gets a row an epoch: epoch, step, loss, accuracy (both on the views),
    val_loss, val_accuracy, learning_rate, images_per_s. `on_epoch` hears each row once it is safe on
    disk; `check` is called every step and may raise to stop. Raises Diverged.
    """
    device = task.images.device
    network.to(device).to(memory_format=torch.channels_last).train()
    optimizing = optimizer(network, task.train)
    progress = checkpoint.load(folder / "checkpoint", network, optimizing)
    history = folder / "history.jsonl"
    _truncate(history, progress.history_bytes)
    length = order.epoch_steps(len(task.images), task.train.batch_size)
    while progress.step < task.steps:
        end = min(progress.step + length, task.steps)
        started = time.perf_counter()
        row = _epoch(network, optimizing, task, progress, end, check)
        seconds = time.perf_counter() - started
        row["images_per_s"] = (end - progress.step) * task.train.batch_size / seconds
        with history.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        progress = replace(
            progress,
            epoch=progress.epoch + 1,
            step=end,
            history_bytes=history.stat().st_size,
            seconds=progress.seconds + seconds,
        )
        checkpoint.save(folder / "checkpoint", network, optimizing, progress)
        on_epoch(row)
    network.eval()
    return progress


def _epoch(
    network: nn.Module,
    optimizing: torch.optim.Optimizer,
    task: Task,
    progress: Progress,
    end: int,
    check: Callable[[], None],
) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(order.views_seed(task.seed, progress.epoch))
    total = torch.zeros((), device=task.images.device)
    right = torch.zeros((), device=task.images.device)
    for step in range(progress.step, end):
        check()
        rate = task.train.learning_rate * factor(task.train.schedule, step, task.steps)
        for group in optimizing.param_groups:
            group["lr"] = rate
        images, targets = _batch(task, step, generator)
        with autocast(task.images.device, task.precision):
            logits = network(images)
            asked = task.answers.ask(task.teacher, task.stream, step, images) if task.teacher else None
        loss = _loss(task, logits.float(), asked, targets)
        loss.backward()
        optimizing.step()
        optimizing.zero_grad(set_to_none=True)
        if task.constrain:
            task.constrain()
        total += loss.detach()
        right += (logits.argmax(1) == targets.argmax(1)).float().mean()
    mean = total.item() / (end - progress.step)
    if not math.isfinite(mean):
        raise Diverged(
            f"the loss became {mean} between steps {progress.step} and {end}: "
            f"lower train.learning_rate (now {task.train.learning_rate:g})"
        )
    losses = validate(network, task.validation, task.precision)
    return {
        "epoch": progress.epoch + 1,
        "step": end,
        "loss": mean,
        "accuracy": right.item() / (end - progress.step),
        **losses,
        "learning_rate": rate,
    }


def _batch(task: Task, step: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    indices = torch.from_numpy(order.batch(task.seed, step, len(task.images), task.train.batch_size))
    indices = indices.to(task.images.device, non_blocking=True)
    images = task.images[indices].float().div_(255)
    images, targets = views.apply(images, task.targets[indices], task.train.views, generator)
    return images.contiguous(memory_format=torch.channels_last), targets


def _loss(task: Task, logits: torch.Tensor, asked: torch.Tensor | None, targets: torch.Tensor) -> torch.Tensor:
    if task.method is None or asked is None:
        return cross_entropy(logits, targets)
    return torch.stack(list(task.method.loss(Seen(logits, asked, targets)).values())).sum()


def validate(network: nn.Module, validation: tuple[torch.Tensor, torch.Tensor], precision: str) -> dict[str, float]:
    """`val_loss` (nats) and `val_accuracy` (0..1) on images uint8 (M, C, H, W); leaves the network in training mode."""
    images, labels = validation
    network.eval()
    with torch.no_grad(), autocast(images.device, precision):
        logits = torch.cat([network(part.float().div_(255)) for part in _parts(images)]).float()
    network.train()
    loss = nn.functional.cross_entropy(logits, labels).item()
    return {"val_loss": loss, "val_accuracy": (logits.argmax(1) == labels).float().mean().item()}


def _parts(images: torch.Tensor, size: int = 512) -> Iterator[torch.Tensor]:
    for start in range(0, len(images), size):
        yield images[start : start + size].contiguous(memory_format=torch.channels_last)


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The context in which networks compute: bf16 where asked for, else fp32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def pixels(images: np.ndarray, device: torch.device | str = "cpu") -> torch.Tensor:
    """uint8 (N, H, W, C) as in data sets to uint8 (N, C, H, W) on the device."""
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).to(device)


def _truncate(history: Path, size: int) -> None:
    history.touch()
    with history.open("rb+") as file:
        file.truncate(size)
