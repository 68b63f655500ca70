import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

import kdcore

SHORT = {"steps": 100, "batch_size": 32, "learning_rate": 0.02}


class Own(nn.Module):
    """A network that the zoo does not know: its stages are called otherwise, and its pooling has no module."""

    def __init__(self, width):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(width, 2 * width, 3, padding=1), nn.BatchNorm2d(2 * width), nn.ReLU())
        self.answer = nn.Linear(2 * width, 10)

    def forward(self, images):
        features = self.second(nn.functional.max_pool2d(self.first(images), 2))
        return self.answer(features.mean((2, 3)))


@pytest.fixture(scope="session")
def data():
    """Train, validation and test images of digits, as pixels."""
    digits = load_digits()
    images = torch.from_numpy((digits.images * 255 / 16).round().astype(np.uint8))[:, None]
    labels = torch.from_numpy(digits.target)
    return [(images[part], labels[part]) for part in (slice(0, 600), slice(600, 800), slice(800, 1200))]


@pytest.fixture(scope="session")
def own():
    """A fresh network of a width, with the same first weights each time."""

    def make(width):
        torch.manual_seed(0)
        return Own(width)

    return make


@pytest.fixture(scope="session")
def teacher(data, own):
    return kdcore.fit(own(16), *data, training=SHORT, name="teacher")


@pytest.fixture(scope="session")
def student(data, own, teacher):
    return kdcore.distill(teacher, own(8), *data, training=SHORT)
