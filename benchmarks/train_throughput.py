"""How fast students are distilled, beside a loop of the kind that the published repositories train with.

    python -m benchmarks.train_throughput [--write] [--seconds S] [--pairs NAME ...] [--threads N ...] [--full]

On a CPU with as many threads as a worker takes, and with two. On a GPU `--full` really trains 240 epochs.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from benchmarks import interleave
from benchmarks.published_loop import Pictures, Published, loss
from benchmarks.results import publish, table
from kdcore import machine, models, registry
from kdcore.distill.objectives.distillation import DistillationObjective
from kdcore.inputs.images import InMemoryImages, pixels
from kdcore.models.fold import folded
from kdcore.recipe import Augmentation, Train
from kdcore.train import order
from kdcore.train.logit_cache import ask_all
from kdcore.train.loop import Task, Trainer, fit
from kdcore.train.objective import Batch

BATCH, CLASSES, SHAPE, EPOCHS, EPOCH_IMAGES = 64, 100, (3, 32, 32), 240, 50_000
MEAN, STD = [0.507, 0.487, 0.441], [0.267, 0.256, 0.276]
IMAGES = 1024  # random ones, in memory: what they show changes no speed
VIEWS = Augmentation(shift=4, flip=True)
PAIRS = {"resnet32x4 -> resnet8x4": ((32, 4), (8, 4)), "resnet56 -> resnet20": ((56, 1), (20, 1))}
ARMS = ("published loop", "same arithmetic", "default", "cached teacher")
AIMS = {"cpu": {"default": 2.4, "cached teacher": 6.0}, "cuda": {"default": 10.0}}
LOADERS = 8
QUIET = 0.9  # share of its threads' time that a process has on a quiet machine


class Pair(NamedTuple):
    """Two networks on the CPU, and the data: uint8 (N, H, W, C) and labels (N,)."""

    teacher: nn.Module
    student: nn.Module
    images: np.ndarray
    labels: np.ndarray


def main() -> None:
    chosen = arguments()
    device = torch.device(machine.device())
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True
    body = [about(device)]
    for name in chosen.pairs:
        pair = make(*PAIRS[name])
        torch.set_num_threads(machine.threads())
        body.append(f"### {name}\n\nOn the same weights and batch the two losses are {same_loss(pair, device)}.")
        for threads in chosen.threads if device.type == "cpu" else [torch.get_num_threads()]:
            torch.set_num_threads(threads)
            body.append(compared(pair, device, threads, chosen.seconds))
        if chosen.full:
            body.append(
                f"{EPOCHS} epochs really trained, nothing cached, with checkpoints: **{whole(pair, device):,.0f} s**."
            )
    publish("Training throughput", "python -m benchmarks.train_throughput", "\n\n".join(body))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the section into docs/results.md")
    parser.add_argument("--seconds", type=float, default=120.0, help="time for each pair and number of threads")
    parser.add_argument("--pairs", nargs="+", choices=PAIRS, default=list(PAIRS), metavar="NAME", help=", ".join(PAIRS))
    some = sorted({machine.threads(), min(2, machine.cores())})
    parser.add_argument("--threads", nargs="+", type=int, default=some, help="numbers of threads on a CPU")
    parser.add_argument("--full", action="store_true", help="really train 240 epochs")
    return parser.parse_args()


def about(device: torch.device) -> str:
    clock = "CPU seconds of the process on one thread, else wall time" if device.type == "cpu" else "wall time"
    loaders = LOADERS if device.type == "cuda" else 0
    return (
        f"Images a second of distilling (KD, batch {BATCH}, {SHAPE[1]}x{SHAPE[2]} random images), and ratios to the "
        f"published loop with 95 % bootstrap intervals over shuffled, interleaved rounds in one process ({clock}). "
        f"*Published loop*: PIL transforms image by image, DataLoader with {loaders} workers, fp32, the teacher run "
        "on every batch, `.item()` each step. *Same arithmetic*: ours in fp32. "
        f"*Default*: ours as a run does it, in {machine.precision('auto')}. "
        "*Cached teacher*: the same without random views, so that the teacher is asked once for each image."
    )


def make(teacher: tuple[int, int], student: tuple[int, int]) -> Pair:
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (IMAGES, *SHAPE[1:], SHAPE[0]), dtype=np.uint8)
    torch.manual_seed(0)
    teacher_network = network(*teacher)
    with torch.no_grad():  # batch norms that have seen images, so that the logits are of an ordinary size
        for start in range(0, 4 * BATCH, BATCH):
            teacher_network(pixels(images[start : start + BATCH]).float() / 255)
    return Pair(teacher_network.eval(), network(*student), images, generator.integers(0, CLASSES, IMAGES))


def network(depth: int, width: int) -> nn.Module:
    options = registry.validate("architecture", {"architecture": "resnet", "depth": depth, "width": width})
    return models.create(options, CLASSES, SHAPE, MEAN, STD)


def without_normalize(network: nn.Module) -> nn.Module:
    """A copy for images that are normalised already, as the published networks are."""
    return nn.Sequential(*list(copy.deepcopy(network).children())[1:])


def ours(pair: Pair, device: torch.device, precision: str, *, cached: bool = False, epochs: int = EPOCHS) -> Task:
    """The task that a run would carry out."""
    train = Train(
        epochs=epochs, batch_size=BATCH, optimizer="sgd", nesterov=False, learning_rate=0.05, weight_decay=5e-4,
        decay_all=True, schedule="step", views=Augmentation() if cached else VIEWS,
    )  # fmt: skip
    images = InMemoryImages(pixels(pair.images, device))
    teacher = (folded(pair.teacher) or pair.teacher).to(device).to(memory_format=torch.channels_last)
    options = registry.validate("method", "kd")
    method = registry.entry_of("method", options).implementation(options)
    table = (lambda: ask_all(teacher, images, precision)) if cached else None
    targets = torch.eye(CLASSES)[pair.labels].to(device)
    validation = images.images[:BATCH], torch.from_numpy(pair.labels[:BATCH]).to(device)
    steps = order.steps_of(epochs, EPOCH_IMAGES, BATCH)
    return Task(
        images, targets, validation, train, steps, precision, 0, DistillationObjective(method, teacher, table=table)
    )


def same_loss(pair: Pair, device: torch.device) -> str:
    """Both losses on one batch, in fp32. Raises AssertionError where they differ."""
    shortened, torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.allow_tf32, False  # fp32, not nearly so
    task, student = ours(pair, device, "fp32"), copy.deepcopy(pair.student)
    Trainer(student, task, lambda: None)
    images = pixels(pair.images[:BATCH], device).float() / 255
    batch = Batch(images, task.targets[:BATCH], torch.arange(BATCH, device=device), 0, 1, 0)
    mean, std = (torch.tensor(values, device=device).view(-1, 1, 1) for values in (MEAN, STD))
    theirs, teacher = (without_normalize(one).to(device) for one in (pair.student, pair.teacher))
    with torch.no_grad():
        own = task.lesson.loss(student, batch)[0].item()
        normal = (images - mean) / std
        labels = torch.from_numpy(pair.labels[:BATCH]).to(device)
        other = loss(theirs.train()(normal), teacher.eval()(normal), labels, 4.0, 0.1, 0.9).item()
    torch.backends.cudnn.allow_tf32 = shortened
    assert abs(own - other) <= 1e-4 * abs(other), f"the losses differ: {own} and {other}"
    return f"{other:.6f} (published loop) and {own:.6f} (ours)"


def arms(pair: Pair, device: torch.device) -> dict[str, Callable[[int], object]]:
    pictures = Pictures(pair.images, pair.labels, MEAN, STD)
    loaders = LOADERS if device.type == "cuda" else 0
    student, teacher = without_normalize(pair.student), without_normalize(pair.teacher)
    default = machine.precision("auto")
    made = {
        "same arithmetic": ours(pair, device, "fp32"),
        "default": ours(pair, device, default),
        "cached teacher": ours(pair, device, default, cached=True),
    }
    published = Published(student, teacher, pictures, BATCH, device, loaders)
    return {"published loop": published.run} | {
        name: runner(Trainer(copy.deepcopy(pair.student), task, lambda: None)) for name, task in made.items()
    }


def runner(trainer: Trainer) -> Callable[[int], object]:
    """Takes steps of the real loop, one after another over the calls."""
    generator, done = torch.Generator().manual_seed(0), 0

    def run(steps: int) -> None:
        nonlocal done
        trainer.steps(done, done + steps, generator)
        done += steps

    return run


def compared(pair: Pair, device: torch.device, threads: int, seconds: float) -> str:
    clock = time.process_time if device.type == "cpu" and threads == 1 else time.perf_counter
    running, wall, cpu = arms(pair, device), time.perf_counter(), time.process_time()
    found = interleave.rounds(running, seconds, clock)
    share = (time.process_time() - cpu) / (time.perf_counter() - wall) / threads
    slow, aims = found[ARMS[0]], AIMS[device.type]
    rows = []
    for name in ARMS:
        aim = aims.get(name)
        step = statistics.median(found[name])
        rows.append(
            [
                name,
                interleave.rate(found[name], BATCH),
                f"{1000 * step:.2f}",
                interleave.ratio_text(slow, found[name]),
                f"{aim:g}" if aim else "",
                f"{step * order.steps_of(EPOCHS, EPOCH_IMAGES, BATCH) / 60:,.0f}",
            ]
        )
    where = f"{threads} thread{'s' * (threads > 1)}" if device.type == "cpu" else "on the GPU"
    busy = f" (a busy machine: {share:.0%} of the time)" if device.type == "cpu" and share < QUIET else ""
    columns = ["loop", "images/s", "ms a step", "times as fast", "aim", f"{EPOCHS} epochs would take (min)"]
    return f"{where.capitalize()}{busy}, {len(slow)} rounds:\n\n{table(columns, rows)}"


def whole(pair: Pair, device: torch.device) -> float:
    """Seconds of a whole training of CIFAR's size through the real loop, checkpoints and all."""
    repeats = -(-EPOCH_IMAGES // IMAGES)
    large = pair._replace(
        images=np.tile(pair.images, (repeats, 1, 1, 1))[:EPOCH_IMAGES],
        labels=np.tile(pair.labels, repeats)[:EPOCH_IMAGES],
    )
    task: Any = ours(large, device, machine.precision("auto"))
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        fit(copy.deepcopy(pair.student), task, Path(folder))
        return time.perf_counter() - started


if __name__ == "__main__":
    main()
