"""The training loop. One loop for every arm; what a step learns from is its lesson's affair."""

from __future__ import annotations

import copy
import json
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from kdcore.data.labelling import ONE_LABEL, Labelling
from kdcore.inputs import Held, Kind
from kdcore.recipe import Train
from kdcore.train import checkpoint, lora, memory, order
from kdcore.train.checkpoint import Progress
from kdcore.train.objective import Batch, Objective
from kdcore.train.optimizers import factor, optimizer
from kdcore.train.precision import autocast
from kdcore.train.team import ALONE, Alone


class Diverged(RuntimeError):
    """The loss became NaN or infinite. The checkpoint of the last good epoch is still there."""


@dataclass(frozen=True)
class Task:
    """What is to be learnt, and how.

    `images`: what the network is shown. `targets` float (N, K), on the device: one-hot, or zero where an image has no
    label; of many labels, 0 and 1, or NaN where an image has none. `validation`: images (M, C, H, W) uint8 and labels,
    (M,), or 0 and 1 (M, K). `constrain` is called after every optimizer step (it keeps pruned weights at zero).
    `rate`: the Recipe's field of the learning rate, for messages. `test`: as `validation`, judged after each epoch too;
    None where the Recipe does not ask for it.
    """

    images: Held
    targets: torch.Tensor
    validation: tuple[torch.Tensor, torch.Tensor]
    train: Train
    steps: int
    precision: str
    seed: int
    lesson: Objective = field(default_factory=Objective)
    constrain: Callable[[], None] | None = None
    rate: str = "train.learning_rate"
    test: tuple[torch.Tensor, torch.Tensor] | None = None


def fit(
    network: nn.Module,
    task: Task,
    folder: Path,
    *,
    on_epoch: Callable[[dict[str, Any]], None] = lambda row: None,
    check: Callable[[], None] = lambda: None,
    team: Alone = ALONE,
) -> Progress:
    """Trains `network` in place, from the checkpoint in `folder` where there is one.

    `history.jsonl` in `folder` gets a row an epoch: epoch, step, loss, accuracy (both on the views), val_loss,
    val_accuracy, learning_rate, images_per_s, and test_accuracy where the task has test images. Accuracy is the share
    of images that are answered right; of many labels, those whose whole label set is. `on_epoch` hears each row once it
    is safe on disk, those before the checkpoint first; `check` is called every step and may raise to stop. `team`: the
    processes that train together, each of which calls this with an equal network, task and folder; the first alone
    judges the network and writes. Raises Diverged, OutOfMemory.
    """
    if task.train.lora:
        lora.attach(network, task.train.lora)
    trainer = Trainer(network, task, check, team)
    kept, history = folder / "checkpoint", folder / "history.jsonl"
    if team.rank:
        team.wait()  # until the first has removed what cannot be used
    progress, rows = checkpoint.resume(kept, history, trainer.modules, trainer.optimizer)
    if not team.rank:
        team.wait()
    trainer.resume(progress)
    for row in rows:
        on_epoch(row)
    length = order.epoch_steps(len(task.images), task.train.batch_size)
    while progress.step < task.steps and not trainer.exhausted(progress):
        end = min(progress.step + length, task.steps)
        started = time.perf_counter()
        row = trainer.epoch(progress, end)
        seconds = time.perf_counter() - started
        row["images_per_s"] = (end - progress.step) * task.train.batch_size / seconds
        progress = replace(
            trainer.judged(progress, row),
            epoch=row["epoch"],
            step=end,
            seconds=progress.seconds + seconds,
            scaler=trainer.scaler.state_dict(),
        )
        if not team.rank:
            with history.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            progress = replace(progress, history_bytes=history.stat().st_size)
            checkpoint.write(kept, history, trainer.modules, trainer.optimizer, progress)
        on_epoch(row)
    trainer.finish()
    if task.train.lora:
        lora.merge(network)
    return progress


class Trainer:
    """A network in training, with everything that its checkpoint must hold."""

    def __init__(self, network: nn.Module, task: Task, check: Callable[[], None], team: Alone = ALONE):
        self.network, self.task, self.check, self.team = network, task, check, team
        self.device = task.images.device
        self.smoothed = task.lesson.labelling.smoothed(task.targets, task.train.label_smoothing)
        network.to(self.device).to(memory_format=torch.channels_last).train()
        wanted = {"average": task.train.ema, "best": task.train.patience}
        copies = {name: copy.deepcopy(network) for name, is_wanted in wanted.items() if is_wanted}
        self._prepare()
        companions = task.lesson.companions.to(self.device).to(memory_format=torch.channels_last).train()
        self.modules: dict[str, nn.Module] = {"network": network, "companions": companions, **copies}
        self.parameters = [*network.parameters(), *companions.parameters()]
        self.optimizer = optimizer(self.parameters, task.train)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=task.precision == "fp16")
        task.lesson.team = team
        self.lesson = team.wrapped(_Lesson(network, companions, task.lesson))

    def _prepare(self) -> None:
        """Shows the lesson an example; the network's batch norms do not count it."""
        self.network.eval()
        generator = torch.Generator().manual_seed(0)
        example = self._batch(0, torch.arange(2).numpy(), generator, None)
        self.task.lesson.prepare(self.network, example, len(self.task.images), self.task.precision)
        self.network.train()

    @property
    def deployed(self) -> nn.Module:
        """The network that is judged: the average of the weights where one is kept."""
        return self.modules.get("average", self.network)

    def resume(self, progress: Progress) -> None:
        if progress.scaler:
            self.scaler.load_state_dict(progress.scaler)

    def exhausted(self, progress: Progress) -> bool:
        patience = self.task.train.patience
        return bool(patience) and progress.epoch - progress.best_epoch >= patience

    def judged(self, progress: Progress, row: dict[str, Any]) -> Progress:
        """Keeps the weights of the best epoch, where an early end may ask for them."""
        if "best" not in self.modules or row["val_accuracy"] <= progress.best:
            return progress
        self.modules["best"].load_state_dict(self.deployed.state_dict())
        return replace(progress, best=row["val_accuracy"], best_epoch=row["epoch"])

    def finish(self) -> None:
        """Leaves in the network the weights that are deployed, in evaluation mode, with nothing watching it."""
        self.task.lesson.close()
        final = self.modules.get("best", self.deployed)
        if final is not self.network:
            self.network.load_state_dict(final.state_dict())
        self.network.eval()

    def epoch(self, progress: Progress, end: int) -> dict[str, Any]:
        """Trains to step `end` and returns the row of the history. Raises Diverged, OutOfMemory."""
        task = self.task
        generator = torch.Generator().manual_seed(order.views_seed(task.seed, progress.epoch))
        # for networks that draw, as dropout does: in each process of a team something else
        torch.manual_seed(order.chance_seed(task.seed, progress.step) + self.team.rank)
        try:
            loss, right, broken = self.steps(progress.step, end, generator)
        except Exception as error:
            if not memory.ran_out(error):
                raise
            traceback.clear_frames(error.__traceback__)  # they hold the step's tensors
            raise memory.OutOfMemory(task.train.batch_size, self._fitting(), self.team.count) from error
        if broken is None and not _finite(self.deployed):
            broken = end
        if broken is not None:
            raise Diverged(_diverged(broken, progress.epoch, task))
        return {
            "epoch": progress.epoch + 1,
            "step": end,
            "loss": loss,
            "accuracy": right,
            **self._judge(task.validation),
            **({"test_accuracy": self._judge(task.test)["val_accuracy"]} if task.test else {}),
            "learning_rate": self.optimizer.param_groups[0]["lr"],
        }

    def _judge(self, images: tuple[torch.Tensor, torch.Tensor]) -> dict[str, float]:
        task, names = self.task, ("val_loss", "val_accuracy")

        def judged() -> list[float]:
            found = validate(self.deployed, images, task.images.kind, task.precision, task.lesson.labelling)
            return [found[name] for name in names]

        return dict(zip(names, self.team.agreed(judged, len(names)), strict=True))

    def steps(self, first: int, end: int, generator: torch.Generator) -> tuple[float, float, int | None]:
        """Trains from step `first` to `end`: mean loss, mean share of right answers, and where the loss broke."""
        losses, right = torch.zeros(2, end - first, device=self.device)
        for step in range(first, end):
            self.check()
            losses[step - first], right[step - first] = self._step(step, generator, end)
        broken = (~losses.isfinite()).nonzero()
        return losses.mean().item(), right.mean().item(), first + int(broken[0]) if len(broken) else None

    def _step(self, step: int, generator: torch.Generator, end: int) -> tuple[torch.Tensor, torch.Tensor]:
        """One optimizer step; its loss and the share of right answers, both on the device."""
        task = self.task
        rate = task.train.learning_rate * factor(task.train, step, task.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        following = self._indices(step + 1) if step + 1 < end else None
        batch = self._batch(step, self._indices(step), generator, following)
        loss, logits = self.lesson(batch)
        self.scaler.scale(loss).backward()
        if task.train.clip_norm:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.parameters, task.train.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        if task.constrain:
            task.constrain()
        if task.train.ema:
            _follow(self.modules["average"], self.network, 1 - task.train.ema if step else 1.0)
        return loss.detach(), task.lesson.labelling.right(logits, batch.targets)

    def _indices(self, step: int, size: int | None = None) -> Any:
        task = self.task
        return task.images.indices(task.seed, step, size or task.train.batch_size)

    def _batch(self, step: int, indices: Any, generator: torch.Generator, following: Any) -> Batch:
        task = self.task
        rows = torch.from_numpy(indices).to(self.device, non_blocking=True)
        kept = task.images.batch(indices, following)
        images, targets = task.images.kind.views(kept, self.smoothed[rows], task.train.views, generator)
        return Batch(images, targets, rows, step, task.steps, order.chance_seed(task.seed, step))

    def _fitting(self) -> int | None:
        """The batch size that would have fitted, found by trying; what has been learnt is lost by it.

        None of a team: this process cannot try by itself.
        """
        if self.team.count > 1:
            return None

        def attempt(size: int) -> None:
            self.optimizer.zero_grad(set_to_none=True)
            batch = self._batch(0, self._indices(0, size), torch.Generator().manual_seed(0), None)
            loss, _ = self.task.lesson.loss(self.network, batch)
            loss.backward()
            self.optimizer.step()  # its state takes memory too

        return memory.largest(self.task.train.batch_size, attempt)


class _Lesson(nn.Module):
    """What one step computes of the networks that it trains: the loss, and the student's logits without gradient."""

    def __init__(self, network: nn.Module, companions: nn.Module, objective: Objective):
        super().__init__()
        self.network, self.companions, self._objective = network, companions, objective

    def forward(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        loss, logits = self._objective.loss(self.network, batch)
        return loss, logits.detach()


def _follow(average: nn.Module, network: nn.Module, share: float) -> None:
    """Moves the running mean of the weights by `share` of its distance to the network's; buffers are copied."""
    mine, theirs = ([weights.detach() for weights in one.parameters()] for one in (average, network))
    with torch.no_grad():
        torch._foreach_lerp_(mine, theirs, share)
        if buffers := list(average.buffers()):
            torch._foreach_copy_(buffers, list(network.buffers()))


def _finite(network: nn.Module) -> bool:
    """Whether every weight is a number, asked of the device once."""
    return bool(torch.stack([weights.isfinite().all() for weights in network.parameters()]).all())


def _diverged(step: int, epoch: int, task: Task) -> str:
    kept = f"The checkpoint of epoch {epoch} is kept" if epoch else "There is no checkpoint yet"
    return (
        f"the loss became NaN or infinite at step {step} (epoch {epoch + 1}): lower {task.rate} (now "
        f"{task.train.learning_rate:g}) or set train.clip_norm. {kept}"
    )


def validate(
    network: nn.Module,
    validation: tuple[torch.Tensor, torch.Tensor],
    kind: Kind,
    precision: str,
    labelling: Labelling = ONE_LABEL,
) -> dict[str, float]:
    """`val_loss` (nats) and `val_accuracy` (0..1) on inputs, as `kind` keeps them, and their labels, as in Task.

    Leaves the network in training mode.
    """
    images, labels = validation
    network.eval()
    with torch.no_grad(), autocast(images.device, precision):
        logits = torch.cat([network(part) for part in kind.portions(images)]).float()
    network.train()
    targets = (labels if labels.ndim == 2 else nn.functional.one_hot(labels, logits.shape[1])).float()
    loss, right = labelling.loss(logits, targets), labelling.right(logits, targets)
    return {"val_loss": loss.item(), "val_accuracy": right.item()}
