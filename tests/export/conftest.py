from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch

from kdcore import models, registry
from kdcore.export import template
from kdcore.export.onnx_file import export
from kdcore.models.fold import folded
from kdcore.paths import home

torch.set_num_threads(1)
DIGIT = (1, 8, 8)


@pytest.fixture
def make():
    """A network of the zoo with batch-norm statistics and biases that are not the ones it starts with."""

    def made(architecture="cnn", shape=DIGIT, seed=0, **options):
        torch.manual_seed(seed)
        chosen = registry.validate("architecture", {"architecture": architecture, **options})
        network = models.create(chosen, 10, shape, [0.3] * shape[0], [0.4] * shape[0])
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                for value, low, high in (
                    (module.weight, 0.5, 1.5),
                    (module.bias, -0.5, 0.5),
                    (module.running_mean, -0.5, 0.5),
                    (module.running_var, 0.5, 2.0),
                ):
                    torch.nn.init.uniform_(value, low, high)
        return network.eval()

    return made


@pytest.fixture
def describe():
    def described(architecture="cnn", shape=DIGIT, **options):
        chosen = registry.validate("architecture", {"architecture": architecture, **options})
        return models.describe(chosen, 10, shape, [0.3] * shape[0], [0.4] * shape[0])

    return described


@pytest.fixture(scope="session")
def cache():
    """Kept graphs, shared by the tests: exporting takes seconds."""
    return home() / "cache" / "onnx"


@pytest.fixture
def own_cache(make, images, cache, tmp_path):
    """A copy that a test may damage, with the graph of a CNN in it alone."""
    export(make(width=16), DIGIT, tmp_path / "kept.onnx", images=images, cache=cache)
    names = template.keys(folded(make(width=16)), DIGIT)
    folder = tmp_path / "cache"
    folder.mkdir()
    for name in names:
        if (cache / f"{name}.onnx").exists():
            shutil.copy(cache / f"{name}.onnx", folder)
    return folder


@pytest.fixture
def images():
    return np.random.default_rng(0).random((16, *DIGIT), dtype=np.float32)
