"""A small network and a small task: three classes of 8x8 images that differ in where they are bright."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from kdcore import registry
from kdcore.inputs.images import InMemoryImages
from kdcore.recipe import Augmentation, Train
from kdcore.train.loop import Task

torch.set_num_threads(1)


def network(seed=0, width=6):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, 4, 3, padding=1),
        nn.Flatten(),
        nn.Linear(256, 3),
    )


def bright(count=60):
    """Images uint8 (count, 1, 8, 8) and labels (count,)."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % 3
    images = torch.randint(0, 80, (count, 1, 8, 8), generator=generator, dtype=torch.uint8)
    for index, label in enumerate(labels):
        images[index, 0, 2 * label : 2 * label + 3] += 120
    return images, labels


@pytest.fixture
def task():
    return small_task()


def small_task():
    images, labels = bright()
    train = Train(steps=90, batch_size=16, views=Augmentation(shift=1, mixup=1.0))
    return Task(InMemoryImages(images), torch.eye(3)[labels], (images[:12], labels[:12]), train, 90, "fp32", seed=3)


def method(name="kd", **options):
    chosen = registry.validate("method", {"method": name, **options})
    return registry.entry_of("method", chosen).implementation(chosen)


def state(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


def stop_after(steps):
    """A `check` that raises KeyboardInterrupt before step `steps`, as a kill would end the training."""
    calls = iter(range(10_000))

    def check():
        if next(calls) == steps:
            raise KeyboardInterrupt

    return check
