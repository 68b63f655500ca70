from __future__ import annotations

import pytest
import torch
from torch import nn

from kdcore import models
from kdcore.registry import validate

torch.set_num_threads(1)

SHAPE = (3, 16, 16)
FAMILY = {
    "cnn": {"architecture": "cnn", "width": 12},
    "mlp": {"architecture": "mlp", "widths": [24, 16, 8]},
    "resnet": {"architecture": "resnet", "depth": 14, "width": 2},
    "wrn": {"architecture": "wrn", "depth": 10, "width": 2},
    "vgg": {"architecture": "vgg", "depth": 11, "width": 0.125},
    "mobilenetv2": {"architecture": "mobilenetv2", "width": 0.5},
    "shufflenetv1": {"architecture": "shufflenetv1", "groups": 3},
    "shufflenetv2": {"architecture": "shufflenetv2", "size": "x0.5"},
    "vit": {"architecture": "vit", "patch": 4, "depth": 3, "dim": 32, "heads": 4},
}
PRUNABLE = sorted(FAMILY.keys() - {"shufflenetv1", "shufflenetv2"})  # torch-pruning cannot follow a shuffle


def document(name: str) -> dict:
    return models.describe(validate("architecture", FAMILY[name]), 5, SHAPE, [0.2, 0.3, 0.4], [0.5, 0.6, 0.7])


def network_of(name: str) -> nn.Module:
    """A network whose batch norms have seen images, so that no tensor has its initial value."""
    torch.manual_seed(0)
    described = document(name)
    network = models.create(validate("architecture", FAMILY[name]), 5, SHAPE, described["mean"], described["std"])
    for _ in range(3):
        network(torch.rand(16, *SHAPE))
    return network.eval()


@pytest.fixture(params=FAMILY)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def network(name: str) -> nn.Module:
    return network_of(name)


@pytest.fixture
def described(name: str) -> dict:
    return document(name)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(7, *SHAPE, generator=torch.Generator().manual_seed(0))
