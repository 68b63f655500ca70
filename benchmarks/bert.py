"""How small and how fast a published BERT becomes: fewer layers, fewer words, int8. Nothing is trained.

    python -m kdcore fetch sst2 && python -m benchmarks.bert [--rounds N] [--length L]

Needs the extra `text` and MiniLM's weights. One thread, batch 1, rounds interleaved, seconds of the thread's processor.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from benchmarks.results import table
from kdcore import models, registry
from kdcore.compress.step import StepInput, StepResult
from kdcore.data.dataset import load
from kdcore.data.types import Dataset
from kdcore.export import onnx_file, runtime

WEIGHTS = "sentence-transformers/all-MiniLM-L6-v2"
INT8 = {"step": "int8_dynamic", "layers": "linear and embedding"}
VERIFIED = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--length", type=int, default=24)
    chosen = parser.parse_args()
    dataset = load(registry.validate("dataset", "sst2"))
    with tempfile.TemporaryDirectory() as folder:
        files = {name: path for depth in (6, 2) for name, path in made(dataset, depth, Path(folder) / str(depth))}
        seconds = timed(files, chosen.rounds, chosen.length)
        first = next(iter(files))
        rows = [
            [name, f"{path.stat().st_size:,}", f"{files[first].stat().st_size / path.stat().st_size:.1f}",
             f"{1000 * seconds[name]:.2f}", f"{seconds[first] / seconds[name]:.1f}"]
            for name, path in files.items()
        ]  # fmt: skip
        print(table(["file", "bytes", "times smaller", f"ms at (1, {chosen.length})", "times as fast"], rows))


def made(dataset: Dataset, depth: int, folder: Path) -> Iterator[tuple[str, Path]]:
    """The exported files of so many of the published layers, with a classifier of random weights."""
    folder.mkdir()
    asked = {"architecture": "bert", "depth": depth, "weights": WEIGHTS}
    torch.manual_seed(0)
    network = models.create(registry.validate("architecture", asked), 2, dataset.shape, [], []).eval()
    texts = dataset.kind.tensor(dataset.train_images)
    shown = dataset.kind.samples(dataset.test_images[:VERIFIED])
    for name in ("", ", vocabulary pruned"):
        path = folder / f"network{len(name)}.onnx"
        unknown = dataset.kind.unknown(dataset.train_images)
        material = StepInput(network, path, texts, dataset.shape, folder, 0, unknown=unknown)
        if name:
            network = step(material, "prune_vocabulary").network
        onnx_file.export(network, dataset.shape, path, images=shown)
        yield f"{depth} layers{name}", path
        quantized = step(material, INT8).onnx
        yield f"{depth} layers{name}, int8", quantized.rename(path.with_suffix(".int8.onnx"))


def step(material: StepInput, asked: str | dict[str, str]) -> StepResult:
    """What a step makes of the material."""
    options = registry.validate("step", asked)
    return registry.entry_of("step", options).implementation(material, options)


def timed(files: dict[str, Path], rounds: int, length: int) -> dict[str, float]:
    """Median seconds of one text of this length, by file."""
    sessions = {name: runtime.session(path, threads=1) for name, path in files.items()}
    ids = np.random.default_rng(0).integers(1000, 2000, (1, length))
    found: dict[str, list[float]] = {name: [] for name in files}
    for _ in range(rounds):
        for name, session in sessions.items():
            started = time.thread_time()
            session.run(None, {session.get_inputs()[0].name: ids})
            found[name].append(time.thread_time() - started)
    return {name: statistics.median(times) for name, times in found.items()}


if __name__ == "__main__":
    main()
