"""A pair of small networks and a training step whose features are caught by hooks, as the loop does it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from kdcore import models
from kdcore.distill.method import Method, StepInputs
from kdcore.registry import entry_of, validate
from kdcore.train.features import Capture

torch.set_num_threads(1)

SHAPE, CLASSES, IMAGES = (1, 8, 8), 10, 40
NETWORKS = {
    "cnn": {"architecture": "cnn", "width": 6},
    "wide": {"architecture": "cnn", "width": 10},
    "resnet": {"architecture": "resnet", "depth": 8},
    "mlp": {"architecture": "mlp", "widths": [24, 16, 12]},
    "wrn": {"architecture": "wrn", "depth": 10, "width": 1},
    "vit": {"architecture": "vit", "patch": 2, "depth": 3, "dim": 12, "heads": 2},
}


def small_network(name: str, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return models.create(validate("architecture", NETWORKS[name]), CLASSES, SHAPE, [0.3], [0.4])


class FeatureStep:
    """A method between two small networks, ready to train. `network` is what `begin` gave."""

    def __init__(self, method: dict[str, Any], student: str = "cnn", teacher: str = "wide"):
        options = validate("method", method)
        self.method: Method = entry_of("method", options).implementation(options)
        self.teacher = small_network(teacher, seed=1).eval().requires_grad_(False)
        self.network = self.method.begin(small_network(student), self.teacher).train()
        self.wanted = self.method.taps(self.network, self.teacher)
        torch.manual_seed(2)
        self.adapters = self.method.prepare(self.network, self.teacher, self.seen(count=2), IMAGES)
        modules = [self.network, *([self.adapters] if self.adapters else [])]
        self.parameters = {
            f"{place}.{name}": parameter
            for place, module in enumerate(modules)
            for name, parameter in module.named_parameters()
            if parameter.requires_grad
        }

    def seen(self, step: int = 0, count: int = 12, steps: int = 10) -> StepInputs:
        generator = torch.Generator().manual_seed(100 + step)
        images = torch.rand(count, *SHAPE, generator=generator)
        targets = torch.eye(CLASSES)[torch.randint(CLASSES, (count,), generator=generator)]
        targets[::3] = 0  # without a label
        logits, features = caught(self.network, self.wanted.student, images)
        with torch.no_grad():
            asked, hints = caught(self.teacher, self.wanted.teacher, images)
        indices = torch.randint(IMAGES, (count,), generator=generator)
        return StepInputs(logits, asked, targets, features, hints, indices, step, steps, seed=step)

    def train(self, steps: int = 3) -> list[float]:
        optimizer = torch.optim.SGD(self.parameters.values(), lr=1e-3)
        losses = []
        for step in range(steps):
            loss = torch.stack(list(self.method.loss(self.seen(step)).values())).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses


def caught(
    network: nn.Module, names: tuple[str, ...], images: torch.Tensor
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    capture = Capture(network, names)
    logits = network(images)
    features = capture.take()
    capture.remove()
    return logits, features


@pytest.fixture
def feature_step() -> type[FeatureStep]:
    return FeatureStep


@pytest.fixture
def feature_network() -> Callable[..., nn.Module]:
    return small_network
