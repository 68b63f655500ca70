"""A small teacher, a small student and what they are trained on, for tests that go through every method."""

from __future__ import annotations

import numpy as np
import torch

from kdcore import inputs, models, registry
from kdcore.data.dataset import load
from kdcore.data.labelling import MANY_LABELS
from kdcore.distill.objectives.distillation import DistillationObjective
from kdcore.distill.traits import MethodTraits, asks, takes
from kdcore.inputs.images import InMemoryImages, pixels
from kdcore.inputs.ragged import Ragged
from kdcore.inputs.text import KIND
from kdcore.inputs.tokens import Characters, Texts
from kdcore.recipe import Augmentation, Train
from kdcore.train.loop import Task

SHAPE = (1, 8, 8)


def network(width: int, seed: int) -> torch.nn.Module:
    torch.manual_seed(seed)
    options = registry.validate("architecture", {"architecture": "cnn", "width": width})
    return models.create(options, 10, SHAPE, [0.3], [0.4])


def taught(method: registry.Options, steps: int, **changes) -> tuple[torch.nn.Module, Task]:
    """A student as `method` begins it, and the task of learning from a teacher for so many steps on digits."""
    if MethodTraits.of(method).reads == ("text",):
        return _taught_texts(method, steps)
    dataset = load(registry.validate("dataset", "digits"))
    images, labels = pixels(dataset.train_images[:100]), torch.from_numpy(np.array(dataset.train_labels[:100]))
    mixes = MethodTraits.of(method).mixup
    train = Train(steps=steps, batch_size=16, views=Augmentation(shift=1, mixup=1.0 if mixes else 0.0), **changes)
    teacher = network(12, seed=1).eval().requires_grad_(False)
    learns = registry.entry_of("method", method).implementation(method)
    student = learns.begin(network(8, seed=0), teacher)
    lesson = DistillationObjective(learns, teacher if asks(method) else None)
    targets = torch.eye(10)[labels]
    if not takes(method, "one"):
        lesson.labelling, labels = MANY_LABELS, targets
    return student, Task(InMemoryImages(images), targets, (images, labels), train, steps, "fp32", 0, lesson)


def texts(count: int = 100, vocabulary: int = 40, longest: int = 12) -> Texts:
    """Texts of random letters."""
    chance = np.random.default_rng(0)
    lengths = chance.integers(3, longest + 1, count)
    ids = chance.integers(2, vocabulary, lengths.sum()).astype(np.int32)
    tokenizer = Characters("".join(map(chr, range(200, 198 + vocabulary))), longest)
    return Texts(Ragged(ids, np.cumsum(lengths)), Ragged(np.empty(0, np.uint8), np.zeros(count, np.int64)), tokenizer)


def reader(depth: int, seed: int, shape: inputs.Shape, dim: int = 8) -> torch.nn.Module:
    """A small BERT with random weights for ten classes."""
    torch.manual_seed(seed)
    options = registry.validate("architecture", {"architecture": "bert", "depth": depth, "dim": dim, "heads": 2})
    return models.create(options, 10, shape, [], [])


def _taught_texts(method: registry.Options, steps: int) -> tuple[torch.nn.Module, Task]:
    known = texts()
    shape, labels = KIND.shape(known), torch.arange(100) % 10
    teacher = reader(4, 1, shape).eval().requires_grad_(False)
    learns = registry.entry_of("method", method).implementation(method)
    student = learns.begin(reader(2, 0, shape), teacher)
    held = KIND.hold(known, np.arange(100), torch.device("cpu"))
    train = Train(steps=steps, batch_size=16)
    targets, lesson = torch.eye(10)[labels], DistillationObjective(learns, teacher)
    return student, Task(held, targets, (KIND.tensor(known), labels), train, steps, "fp32", 0, lesson)
