from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from kdcore import models, registry
from kdcore.compress.step import StepInput
from kdcore.data.dataset import load
from kdcore.export import runtime
from kdcore.export.onnx_file import export
from kdcore.paths import home

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def digits():
    return load(registry.validate("dataset", "digits"))


@pytest.fixture(scope="session")
def images(digits):
    return torch.from_numpy(runtime.pixels(digits.train_images))


@pytest.fixture(scope="session")
def trained(digits, images):
    """Networks that have learnt the digits, one an architecture, trained when they are first asked for."""
    known = {}
    labels = torch.from_numpy(np.array(digits.train_labels))

    def learn(architecture, options):
        torch.manual_seed(0)
        chosen = registry.validate("architecture", {"architecture": architecture, **options})
        made = models.create(chosen, 10, digits.shape, digits.mean, digits.std)
        optimizer = torch.optim.AdamW(made.parameters(), 0.01)
        for _ in range(60):
            picked = torch.randint(len(images), (64,))
            torch.nn.functional.cross_entropy(made(images[picked]), labels[picked]).backward()
            optimizer.step()
            optimizer.zero_grad()
        return made.eval()

    def network(architecture="cnn", **options):
        key = (architecture, tuple(options.items()))
        if key not in known:
            with torch.random.fork_rng(devices=[]):  # who asks first and who asks later find torch's state alike
                known[key] = learn(architecture, options)
        return copy.deepcopy(known[key])

    return network


@pytest.fixture(scope="session")
def targets(digits):
    return torch.eye(10)[torch.from_numpy(np.array(digits.train_labels))]


@pytest.fixture
def material(images, targets, tmp_path):
    """What a step is given for a network; its ONNX file is made only where `exported`."""

    def made(network, exported=False, seed=0, count=None):
        path = tmp_path / "parent.onnx"
        if exported:
            export(network, (1, 8, 8), path, images=images[:32].numpy(), cache=home() / "cache" / "onnx")
        return StepInput(network, path, images[:count], (1, 8, 8), tmp_path, seed, targets[:count])

    return made


@pytest.fixture
def carry_out():
    """Runs a step by name, with its options validated."""

    def carried_out(material, step, **options):
        chosen = registry.validate("step", {"step": step, **options})
        return registry.entry_of("step", chosen).implementation(material, chosen)

    return carried_out


@pytest.fixture
def accuracy(digits):
    def measured(network):
        with torch.no_grad():
            logits = network(torch.from_numpy(runtime.pixels(digits.test_images)))
        return float((logits.argmax(1).numpy() == digits.test_labels).mean())

    return measured
