from __future__ import annotations

import numpy as np
import pytest
import torch

from kdcore import models, registry
from kdcore.data.dataset import load
from kdcore.data.splits import split
from kdcore.export import runtime
from kdcore.export.onnx_file import export
from kdcore.paths import home
from kdcore.recipe import Data

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def digits():
    return load(registry.validate("dataset", "digits"))


@pytest.fixture(scope="session")
def shares(digits):
    return split(digits, Data())


@pytest.fixture(scope="session")
def trained(digits):
    """A CNN that has learnt the digits a little, so that it makes mistakes."""
    torch.manual_seed(0)
    chosen = registry.validate("architecture", {"architecture": "cnn", "width": 8})
    network = models.create(chosen, 10, digits.shape, digits.mean, digits.std)
    images = torch.from_numpy(runtime.pixels(digits.train_images))
    labels = torch.from_numpy(np.array(digits.train_labels))
    optimizer = torch.optim.AdamW(network.parameters(), 0.01)
    for _ in range(25):
        picked = torch.randint(len(images), (64,))
        torch.nn.functional.cross_entropy(network(images[picked]), labels[picked]).backward()
        optimizer.step()
        optimizer.zero_grad()
    return network.eval()


@pytest.fixture(scope="session")
def write(tmp_path_factory):
    """Writes a network as an ONNX file and returns its path."""

    def written(network, shape=(1, 8, 8)):
        path = tmp_path_factory.mktemp("onnx") / "model.onnx"
        images = np.random.default_rng(0).random((4, *shape), dtype=np.float32)
        export(network, shape, path, images=images, cache=home() / "cache" / "onnx")
        return path

    return written
