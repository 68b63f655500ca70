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
from kdcore.inputs.passages import Passages, Windows
from kdcore.inputs.ragged import Ragged
from kdcore.inputs.text import KIND
from kdcore.inputs.tokens import Characters, Texts
from kdcore.recipe import Augmentation, Train
from kdcore.train.loop import Task
from kdcore.train.objective import Batch

SHAPE = (1, 8, 8)


def network(width: int, seed: int) -> torch.nn.Module:
    torch.manual_seed(seed)
    options = registry.validate("architecture", {"architecture": "cnn", "width": width})
    return models.create(options, 10, SHAPE, [0.3], [0.4])


def taught(method: registry.Options, steps: int, **changes) -> tuple[torch.nn.Module, Task]:
    """A student as `method` begins it, and the task of learning from a teacher for so many steps on digits."""
    if (only := _of_one_kind(method)) is not None:
        return only(method, steps)
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


def terms(
    name: str,
    student: torch.nn.Module,
    teacher: torch.nn.Module,
    given: torch.Tensor,
    *,
    step: int = 0,
    begin: bool = True,
    **options,
) -> dict[str, torch.Tensor]:
    """What a method's loss consists of in a step of ten on these inputs, with its adapters as they begin."""
    chosen = registry.validate("method", {"method": name, **options})
    method = registry.entry_of("method", chosen).implementation(chosen)
    if begin:
        student = method.begin(student, teacher)
    targets = torch.eye(10)[torch.arange(len(given)) % 10]
    lesson = DistillationObjective(method, teacher.requires_grad_(False))
    batch = Batch(given, targets, torch.arange(len(given)), step, 10, 0)
    torch.manual_seed(0)
    lesson.prepare(student, batch, len(given), "fp32")
    found = method.loss(lesson._look(student, batch)[0])
    lesson.close()
    return found


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


def passages(windows: int = 12, vocabulary: int = 40, length: int = 8) -> tuple[Passages, np.ndarray]:
    """Windows of random letters from four documents, and which letter follows each."""
    ids = np.random.default_rng(0).integers(2, vocabulary, (windows, length + 1)).astype(np.int32)
    documents = (np.arange(windows) * 4 // windows).astype(np.int32)
    tokenizer = Characters("".join(map(chr, range(200, 198 + vocabulary))), length)
    items = Passages(Windows(np.ascontiguousarray(ids[:, :-1]), documents), tokenizer)
    return items, ids[:, 1:].ravel().astype(np.int64) - 2


def writer(depth: int, seed: int, shape: inputs.Shape, classes: int = 38) -> torch.nn.Module:
    """A small language model with random weights."""
    torch.manual_seed(seed)
    options = registry.validate("architecture", {"architecture": "text_decoder", "depth": depth, "dim": 8, "heads": 2})
    return models.create(options, classes, shape, [], [])


def _of_one_kind(method: registry.Options):
    return {("text",): _taught_texts, ("passages",): _taught_passages}.get(MethodTraits.of(method).reads)


def _taught_passages(method: registry.Options, steps: int) -> tuple[torch.nn.Module, Task]:
    known, labels = passages()
    kind = inputs.named("passages")
    shape = kind.shape(known)
    teacher = writer(2, 1, shape).eval().requires_grad_(False)
    learns = registry.entry_of("method", method).implementation(method)
    student = learns.begin(writer(1, 0, shape), teacher)
    held = kind.hold(known, np.arange(len(known)), torch.device("cpu"))
    truth = torch.from_numpy(labels)
    task = Task(
        held, torch.eye(38)[truth], (kind.tensor(known), truth), Train(steps=steps, batch_size=32), steps, "fp32", 0,
        DistillationObjective(learns, teacher),
    )  # fmt: skip
    return student, task


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
