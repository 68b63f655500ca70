"""How small, how fast and how accurate a published BERT becomes: fewer layers, fewer words, int8.

    python -m kdcore fetch sst2
    python -m benchmarks.bert [--rounds N] [--length L]
    python -m benchmarks.bert --sentences 2000 --seeds 3 --home DIR [--write]

Needs the extra `text` and MiniLM's weights. The first makes files of untrained classifiers. With `--sentences` the
preset bert-made-small is trained on SST-2, its students on so many sentences (0: all), in the workspace DIR: after a
kill the same command goes on from the last finished stage. Nothing is chosen: what the preset says is measured on the
test sentences once. Files are timed on one thread at batch 1, in interleaved rounds, by the thread's processor time.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from benchmarks.results import publish, table
from benchmarks.runs import resumed
from kdcore import models, registry
from kdcore.compress.step import StepInput, StepResult
from kdcore.data.dataset import load
from kdcore.data.types import Dataset
from kdcore.export import onnx_file, runtime
from kdcore.presets import preset
from kdcore.recipe import Recipe, override, parse
from kdcore.report import comparison, format
from kdcore.report.verdicts import WORDS
from kdcore.workspace.workspace import Workspace

WEIGHTS = "sentence-transformers/all-MiniLM-L6-v2"
INT8 = {"step": "int8_dynamic", "layers": "linear and embedding"}
VERIFIED = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--length", type=int, default=24)
    parser.add_argument("--sentences", type=int, help="train on so many sentences; 0: all")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--home", type=Path, default=Path("workspace-bert"))
    chosen, _ = parser.parse_known_args()
    if chosen.sentences is not None:
        trained(chosen)
        return
    dataset = load(registry.validate("dataset", "sst2"))
    with tempfile.TemporaryDirectory() as folder:
        files = {name: path for depth in (6, 2) for name, path in made(dataset, depth, Path(folder) / str(depth))}
        seconds = timed(files, chosen.rounds, chosen.length)
        rows = [[name, *cells] for name, cells in costs(files, seconds).items()]
        print(table(["file", *columns(chosen.length)], rows))


def trained(chosen: argparse.Namespace) -> None:
    """Trains, measures and publishes."""
    os.environ["KDCORE_HOME"] = str(chosen.home.absolute())
    workspace, run_id = resumed(recipe(chosen.sentences, chosen.seeds))
    command = f"python -m benchmarks.bert --sentences {chosen.sentences} --seeds {chosen.seeds}"
    publish("BERT on SST-2", command, body(workspace, run_id, chosen.rounds, chosen.length))


def recipe(sentences: int, seeds: int) -> Recipe:
    """The preset, with so many sentences for every student; 0: all."""
    changes = [f"seeds={list(range(seeds))}", f"data.labels={sentences or 'null'}"]
    return parse(override(preset("bert-made-small").recipe.document(), changes))


def body(workspace: Workspace, run_id: str, rounds: int, length: int) -> str:
    """Accuracy with its interval, verdict, bytes and speed of each file, and the verdicts in words."""
    found = comparison.document(workspace, run_id)
    rows = found["variants"]
    files = {row["variant"]: workspace.model(row["model_key"]) / "model.onnx" for row in rows}
    cost = costs(files, timed(files, rounds, length))
    cells = [
        [row["variant"], format.percent(row["accuracy"]),
         f"{format.percent(row['accuracy_low'])} to {format.percent(row['accuracy_high'])}",
         WORDS.get(row["verdict"], ""), *cost[row["variant"]]]
        for row in rows
    ]  # fmt: skip
    data, train = (found["recipe"][part] for part in ("data", "train"))
    about = (
        f"MiniLM fine-tuned on all sentences once, students of two layers on "
        f"{data['labels'] or 'all'} sentences for {train['epochs']} epochs, seeds "
        f"{', '.join(map(str, found['recipe']['seeds']))}. Times on one thread at batch 1 and {length} tokens, medians "
        f"of {rounds} interleaved rounds."
    )
    heading = ["variant", "test accuracy", "95 %", "verdict", *columns(length)]
    words = "\n".join(f"- {verdict['variant']}: {verdict['words']}" for verdict in found["verdicts"])
    return f"{about}\n\n{table(heading, cells)}\n\n{words}"


def columns(length: int) -> list[str]:
    """The headings of `costs`."""
    return ["bytes", "times smaller", f"ms at (1, {length})", "times as fast"]


def costs(files: dict[str, Path], seconds: dict[str, float]) -> dict[str, list[str]]:
    """Bytes and milliseconds of each file, and how many times less than the first's."""
    first = next(iter(files))
    size = {name: path.stat().st_size for name, path in files.items()}
    return {
        name: [f"{size[name]:,}", f"{size[first] / size[name]:.1f}", f"{1000 * seconds[name]:.2f}",
               f"{seconds[first] / seconds[name]:.1f}"]
        for name in files
    }  # fmt: skip


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
