"""What each registry entry computes on fixed inputs, in a few numbers.

`python -m tests.golden NAME ...` writes those of the named entries, such as `method:kd`, and leaves the others as they
are. Numbers are kept to four digits and compared to within TOLERANCE, so that every processor agrees; a change of
behaviour does not hide in that. Integer files are made as for a processor with AVX2 alone: they are right on every one.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import torch

from kdcore import inputs, machine, models, registry
from kdcore.compress.step import StepInput
from kdcore.data.dataset import load
from kdcore.export import onnx_file, runtime
from kdcore.inputs.images import InMemoryImages, pixels
from kdcore.inputs.text import KIND
from kdcore.recipe import Augmentation, Train
from kdcore.registry import Entry
from kdcore.train.loop import Task, fit
from kdcore.workspace import keys
from tests import pairs

ELSEWHERE = {"python_source", "surnames", "timm", "torchvision"}  # of a library, whose version is beside every model
PATH = Path(__file__).with_name("golden.json")
TOLERANCE = {"rel": 2e-3, "abs": 1e-6}
SHAPE = (1, 8, 8)
SHAPES: dict[str, inputs.Shape] = {
    "pictures": SHAPE, "text": ("text", 6, 12, 40, "golden"), "passages": ("passages", 8, 8, 40, "golden"),
    "gpt2": ("tokens", 8, 8, 12, "golden"),  # its classes are its tokens
}  # fmt: skip
# Networks that are other than their defaults; layers can only be tied where two have one shape and no batch norm.
SPECIAL: dict[str, object] = {
    "cnn": {"architecture": "cnn", "width": 16},
    "gpt2": {"architecture": "gpt2", "depth": 2, "dim": 16, "heads": 2},
    "drop_layers": {"architecture": "bert", "depth": 4, "dim": 16, "heads": 2},
    "tie": {"architecture": "mlp", "widths": [32, 32, 32]},
}


def names() -> list[str]:
    """Everything that has numbers: `kind:name` of the registry entries, and the training loop."""
    found = [
        f"{kind}:{entry.name}"
        for kind in MEASURED
        for entry in registry.entries(kind)
        if entry.name not in ELSEWHERE and not getattr(entry.traits, "fetch", None) and not _needs_a_file(entry)
    ]
    return [*found, "loop"]


def key(name: str) -> str:
    """Under which its numbers are kept: the name with the version. Raises UnknownEntry."""
    kind, _, entry = name.partition(":")
    return f"{name}:{registry.entry(kind, entry).version if entry else keys.LOOP}"


def measure(name: str) -> list[float]:
    """Its numbers, as it computes them now."""
    torch.set_num_threads(1)
    kind, _, entry = name.partition(":")
    with mock.patch.object(machine, "cpu_flags", return_value=frozenset({"avx2"})):
        values = MEASURED[kind](registry.entry(kind, entry)) if entry else _loop()
    return [float(f"{value:.4g}") for value in values]


def kept() -> dict[str, list[float]]:
    """The numbers in the file, by key."""
    return json.loads(PATH.read_text())


def write(asked: list[str]) -> None:
    """Measures these anew, and drops what is gone."""
    there = {key(name): name for name in names()}
    known = {one: values for one, values in kept().items() if one in there}
    known |= {key(name): measure(name) for name in asked}
    PATH.write_text(json.dumps({one: known[one] for one in there if one in known}, indent=1) + "\n")


def _needs_a_file(entry: Entry) -> bool:
    return any(field.is_required() for field in entry.options.model_fields.values())


def _options(entry: Entry) -> registry.Options:
    return registry.validate(entry.kind, entry.name)


def _images(count: int = 32) -> torch.Tensor:
    dataset = load(registry.validate("dataset", "digits"))
    return pixels(dataset.train_images[:count])


def _network(name: str = "cnn", shape: inputs.Shape = SHAPE) -> torch.nn.Module:
    torch.manual_seed(0)
    options = SPECIAL.get(name, name)
    moments = ([0.3], [0.4]) if shape == SHAPE else ([], [])
    return models.create(registry.validate("architecture", options), 10, shape, *moments)


def _dataset(entry: Entry) -> list[float]:
    dataset = load(_options(entry))
    return [int(dataset.fingerprint[:6], 16), len(dataset.train_labels), len(dataset.test_labels)]


def _architecture(entry: Entry) -> list[float]:
    shape = SHAPES.get(entry.name) or SHAPES[entry.traits.reads]
    network = _network(entry.name, shape).eval()
    kind = inputs.of(shape)
    texts = torch.from_numpy(kind.random(shape, 32, np.random.default_rng(0)))
    given = _images().float() / 255 if shape == SHAPE else texts
    with torch.no_grad():
        logits = network(given)
    return [sum(p.numel() for p in network.parameters()), logits.std().item(), *logits[0, :3].tolist()]


def _method(entry: Entry) -> list[float]:
    student, task = pairs.taught(_options(entry), steps=2)
    rows: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        fit(student, task, Path(folder), on_epoch=rows.append)
    return [rows[-1]["loss"], rows[-1]["val_loss"]]


def _step(entry: Entry) -> list[float]:
    if "pictures" not in entry.traits.reads:
        return _step_on_texts(entry)
    network = _network(entry.name if entry.name in SPECIAL else "cnn").eval()
    images = _images(64).float() / 255
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        onnx_file.export(network, SHAPE, folder / "parent.onnx", images=images.numpy(), cache=None)
        material = StepInput(network, folder / "parent.onnx", images, SHAPE, folder, 0)
        outcome = entry.implementation(material, _options(entry))
        if outcome.onnx:
            logits = runtime.logits(outcome.onnx, images.numpy())
        else:
            with torch.no_grad():
                logits = outcome.network(images).numpy()
    return [float(np.std(logits)), *map(float, logits[0, :2]), sum(p.numel() for p in outcome.network.parameters())]


def _step_on_texts(entry: Entry) -> list[float]:
    texts = KIND.tensor(pairs.texts(vocabulary=30))
    network = _network(entry.name if entry.name in SPECIAL else "text_encoder", SHAPES["text"]).eval()
    targets = torch.eye(10)[torch.arange(len(texts)) % 10]
    outcome = entry.implementation(
        StepInput(network, Path(), texts, SHAPES["text"], Path(), 0, targets, unknown=1), _options(entry)
    )
    with torch.no_grad():
        logits = outcome.network(texts + 8).numpy()
    return [float(np.std(logits)), *map(float, logits[0, :2]), sum(p.numel() for p in outcome.network.parameters())]


def _loop() -> list[float]:
    dataset = load(registry.validate("dataset", "digits"))
    images, labels = pixels(dataset.train_images[:100]), torch.from_numpy(np.array(dataset.train_labels[:100]))
    train = Train(steps=2, batch_size=16, views=Augmentation(shift=1, mixup=1.0))
    network = _network()
    with tempfile.TemporaryDirectory() as folder:
        rows: list[dict[str, float]] = []
        fit(
            network,
            Task(InMemoryImages(images), torch.eye(10)[labels], (images, labels), train, 2, "fp32", seed=0),
            Path(folder),
            on_epoch=rows.append,
        )
    return [rows[-1]["loss"], rows[-1]["val_loss"]]


MEASURED: dict[str, Callable[[Entry], list[float]]] = {
    "dataset": _dataset,
    "architecture": _architecture,
    "method": _method,
    "step": _step,
}

if __name__ == "__main__":
    unknown = set(sys.argv[1:]) - set(names())
    if unknown:
        sys.exit(f"nothing is called {', '.join(sorted(unknown))}; there are {', '.join(names())}")
    write(sys.argv[1:])
