"""Everything about a model that needs no stopwatch, measured on the very file that is deployed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch import nn

from kdcore.data.dataset import Dataset
from kdcore.data.splits import Split
from kdcore.export import runtime
from kdcore.measure.cost import cost
from kdcore.measure.layers import layers
from kdcore.measure.multilabel import map_difference, map_interval, multilabel_quality
from kdcore.measure.quality import hidden_recall, quality
from kdcore.measure.size import size

BATCH = 256


class Evaluation(NamedTuple):
    """`report`: a JSON document with quality, size, cost and layers. `logits`: float32 (N, K) by split."""

    report: dict[str, Any]
    logits: dict[str, np.ndarray]


def evaluate(
    path: Path,
    network: nn.Module | None,
    dataset: Dataset,
    split: Split,
    *,
    hidden: Sequence[str] = (),
    parent: np.ndarray | None = None,
) -> Evaluation:
    """Measures the ONNX file at `path`, which was made from `network`, on the test and validation images.

    A file that somebody else made has no network here: its cost is left out, and its layers where they cannot be told.
    `hidden`: names of classes that the student was not shown. `parent`: logits float (N, K), on the test split, of the
    file that this one came from; of images with several labels, quality then tells the difference too
    (`against_parent`, see `map_difference`). Quality is that on the test split; nothing is chosen on it. Raises
    ValueError when the file cannot be run or gives no finite numbers.
    """
    running = runtime.session(path)
    labels = {"test": dataset.test_labels, "validation": dataset.train_labels[split.validation]}
    logits = {
        "test": _logits(running, dataset.test_images, np.arange(len(dataset.test_labels))),
        "validation": _logits(running, dataset.train_images, split.validation),
    }
    found = layers(path, dataset.shape) if network is not None else _layers_of_another(path, dataset.shape)
    test, validation = ((logits[part], labels[part]) for part in ("test", "validation"))
    measured = _quality(test, validation, dataset, hidden)
    if dataset.multilabel and parent is not None:
        measured["against_parent"] = map_difference(test[0], parent, test[1])
    report = {
        "quality": measured,
        "size": size(path),
        "layers": found,
    }
    if network is not None:
        report["cost"] = cost(network, dataset.shape, found)
    return Evaluation(report, logits)


def evaluate_answers(answers: Mapping[str, np.ndarray], dataset: Dataset, split: Split) -> Evaluation:
    """The same of a teacher that is not there: it has no file, so no size, cost or layers.

    `answers`: logits (N, K) of "train", all training images, and of "test" where they are known; else quality is None.
    """
    logits = {"validation": answers["train"][split.validation]}
    found = None
    if "test" in answers:
        logits["test"] = answers["test"]
        validation = logits["validation"], dataset.train_labels[split.validation]
        found = _quality((logits["test"], dataset.test_labels), validation, dataset, ())
    return Evaluation({"quality": found, "size": None, "cost": None, "layers": []}, logits)


def _quality(
    test: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray],
    dataset: Dataset,
    hidden: Sequence[str],
) -> dict[str, Any]:
    if dataset.multilabel:
        return multilabel_quality(*test, dataset.classes) | {"map_interval": map_interval(*test), "hidden": []}
    return quality(*test, dataset.classes) | {
        "hidden": [{"class": name} | hidden_recall(test, validation, dataset.classes.index(name)) for name in hidden]
    }


def _layers_of_another(path: Path, shape: Sequence[int]) -> list[dict[str, Any]]:
    try:
        return layers(path, shape)
    except ValueError:
        return []


def _logits(running: Any, images: np.ndarray, indices: np.ndarray) -> np.ndarray:
    parts = [indices[at : at + BATCH] for at in range(0, len(indices), BATCH)]
    return np.concatenate([runtime.logits(running, runtime.pixels(images[part])) for part in parts])
