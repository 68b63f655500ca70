"""Every method under the training of the published CIFAR-100 recipes: SGD at 0.05 with plain momentum, in fp32.

The student is wider than its teacher, which is hard on hints: with a bare convolution as regressor, FitNets diverges.
"""

from __future__ import annotations

import statistics

import numpy as np
import pytest
import torch

from kdcore import models, registry
from kdcore.data.dataset import load
from kdcore.data.labelling import MANY_LABELS
from kdcore.distill.objectives.distillation import DistillationObjective
from kdcore.distill.traits import MethodTraits, asks, takes
from kdcore.inputs.images import InMemoryImages, pixels
from kdcore.presets import preset
from kdcore.train.loop import Task, fit
from kdcore.train.objective import Objective

torch.set_num_threads(1)
STEPS, RISING = 60, 10  # a tenth of the steps and more pass until the losses that warm up have their whole weight
TRAIN = preset("reproduce-the-paper").recipe.train.model_copy(update={"steps": STEPS, "epochs": None})
QUICK = ("kd", "fitnets", "reviewkd")
METHODS = [
    pytest.param(entry.name, marks=[] if entry.name in QUICK else pytest.mark.slow)
    for entry in registry.entries("method")
    if "pictures" in MethodTraits.of(registry.validate("method", entry.name)).reads
]


def network(width: int) -> torch.nn.Module:
    torch.manual_seed(width)
    options = registry.validate("architecture", {"architecture": "cnn", "width": width})
    return models.create(options, 10, (1, 8, 8), [0.3], [0.4])


def task(lesson: Objective, *, several: bool = False) -> Task:
    dataset = load(registry.validate("dataset", "digits"))
    images, labels = pixels(dataset.train_images[:256]), torch.from_numpy(np.array(dataset.train_labels[:256]))
    targets = torch.eye(10)[labels]
    if several:
        lesson.labelling, labels = MANY_LABELS, targets
    return Task(InMemoryImages(images), targets, (images[:16], labels[:16]), TRAIN, STEPS, "fp32", 0, lesson)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    made = network(8)
    fit(made, task(Objective()), tmp_path_factory.mktemp("teacher"))
    return made.requires_grad_(False)


@pytest.mark.parametrize("name", METHODS)
def test_sixty_steps_end_with_a_finite_and_lower_loss(name, teacher, tmp_path):
    method = registry.validate("method", name)
    learns = registry.entry_of("method", method).implementation(method)
    wide = MethodTraits.of(method).family != "weights"  # weights are taken of a teacher that is no narrower
    student = learns.begin(network(16 if wide else 8), teacher)
    lesson = DistillationObjective(learns, teacher if asks(method) else None)
    loss, losses = lesson.loss, []

    def kept(trained, batch):
        value, logits = loss(trained, batch)
        losses.append(value.item())
        return value, logits

    lesson.loss = kept
    fit(student, task(lesson, several=not takes(method, "one")), tmp_path)
    early, late = (statistics.mean(part) for part in (losses[RISING : 2 * RISING], losses[-RISING:]))
    assert len(losses) == STEPS
    assert late < early < float("inf")
