"""Distilling digits from cached soft labels, beside the same with the teacher asked at every step.

python -m benchmarks.cached_answers [--write] [--seconds S]
"""

from __future__ import annotations

import argparse
import statistics
import time
from functools import partial

import numpy as np
import torch
from torch import nn

from benchmarks import interleave
from benchmarks.results import publish, table
from benchmarks.train_throughput import runner
from kdcore import machine, models, registry
from kdcore.data.dataset import load
from kdcore.distill.objectives.distillation import DistillationObjective
from kdcore.inputs.images import InMemoryImages, pixels
from kdcore.models.fold import folded
from kdcore.presets import preset
from kdcore.recipe import Augmentation
from kdcore.registry import Options
from kdcore.train.logit_cache import ask_all
from kdcore.train.loop import Task, Trainer

ASKED, CACHED = "teacher asked each step", "teacher's answers cached"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the section into docs/results.md")
    parser.add_argument("--seconds", type=float, default=30.0, help="time for the comparison")
    chosen = parser.parse_args()
    threads = machine.threads()
    torch.set_num_threads(threads)
    tasks, asking = prepared()
    recipe, train = preset("quickstart").recipe, tasks[ASKED].train
    running = {name: runner(Trainer(make(recipe.student.model), task, lambda: None)) for name, task in tasks.items()}
    one_thread = machine.device() == "cpu" and threads == 1
    found = interleave.rounds(running, chosen.seconds, time.process_time if one_thread else time.perf_counter)
    step = statistics.median(found[CACHED])
    body = [
        f"The quickstart's pair on digits without random views (only then are cached answers legal), batch "
        f"{train.batch_size}, {tasks[ASKED].precision}, through the real loop; {len(found[ASKED])} shuffled rounds in "
        f"one process, {threads} thread{'s' * (threads > 1)}, {'CPU seconds' if one_thread else 'wall time'}, 95 % "
        "bootstrap intervals.",
        table(
            ["distilling", "images/s", "ms a step", "times as fast"],
            [[name, *row(found, name, train.batch_size)] for name in (ASKED, CACHED)],
        ),
        f"Asking about all {len(tasks[ASKED].images):,} images once takes {1000 * asking:.0f} ms, the time of "
        f"{asking / step:.0f} steps.",
    ]
    publish("Cached answers", "python -m benchmarks.cached_answers", "\n\n".join(body))


def row(found: dict[str, list[float]], name: str, batch: int) -> list[str]:
    each = found[name]
    return [
        interleave.rate(each, batch),
        f"{1000 * statistics.median(each):.2f}",
        interleave.ratio_text(found[ASKED], each),
    ]


def make(model: Options) -> nn.Module:
    dataset = load(registry.validate("dataset", "digits"))
    torch.manual_seed(0)
    return models.create(model, len(dataset.classes), dataset.shape, dataset.mean, dataset.std)


def prepared() -> tuple[dict[str, Task], float]:
    """The two tasks, and the CPU seconds that it takes to ask the teacher about all images once."""
    recipe = preset("quickstart").recipe
    train = recipe.train.model_copy(update={"views": Augmentation()})
    device, precision = torch.device(machine.device()), machine.precision(train.precision)
    dataset = load(registry.validate("dataset", "digits"))
    images = InMemoryImages(pixels(dataset.train_images, device))
    labels = torch.from_numpy(np.array(dataset.train_labels)).to(device)
    targets, validation = nn.functional.one_hot(labels).float(), (images.images[:64], labels[:64])
    teacher = make(recipe.teacher.model).eval()
    teacher = (folded(teacher) or teacher).to(device).to(memory_format=torch.channels_last)
    tasks = {}
    for name, answers in ((ASKED, None), (CACHED, partial(ask_all, teacher, images, precision))):
        method = registry.entry_of("method", recipe.distill).implementation(recipe.distill)
        lesson = DistillationObjective(method, teacher, table=answers)
        tasks[name] = Task(images, targets, validation, train, 10**6, precision, 0, lesson)
    ask_all(teacher, images, precision)
    started = time.process_time()
    ask_all(teacher, images, precision)
    return tasks, time.process_time() - started


if __name__ == "__main__":
    main()
