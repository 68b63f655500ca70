"""Everything about a model that needs no stopwatch, measured on the very file that is deployed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch import nn

from kdcore.data.splits import Split
from kdcore.data.types import Dataset
from kdcore.export import runtime
from kdcore.export.layers import layers
from kdcore.inputs.kind import Items, Kind, Shape
from kdcore.measure.bits import bits, bits_difference, of_documents
from kdcore.measure.calibration import calibration
from kdcore.measure.cost import cost
from kdcore.measure.multilabel import map_difference, map_interval, multilabel_quality
from kdcore.measure.privacy import Members, losses, missing, non_members, privacy
from kdcore.measure.quality import hidden_recall, quality
from kdcore.measure.size import size
from kdcore.measure.sqnr import IMAGES, sqnr

BATCH = 256
DEPENDENT = "examples out of one document depend on each other"
UNKNOWN_IMAGES = "it was not trained here, so its training examples are unknown"


class Evaluation(NamedTuple):
    """`report`: a JSON document with quality, privacy, size, cost and layers. `logits`: float32 (N, K) by split.

    `members`: what the model loses on images that it was trained on; None where these are not known.
    """

    report: dict[str, Any]
    logits: dict[str, np.ndarray]
    members: Members | None = None


def evaluate(
    path: Path,
    network: nn.Module | None,
    dataset: Dataset,
    split: Split,
    *,
    hidden: Sequence[str] = (),
    parent: np.ndarray | None = None,
    members: np.ndarray | None = None,
    came_from: Path | None = None,
) -> Evaluation:
    """Measures the ONNX file at `path`, which was made from `network`, on the test and validation images.

    A file that somebody else made has no network here: its cost is left out, and its layers where they are unknown.
    `hidden`: names of classes that the student was not shown. `parent`: logits float (N, K), on the test split, of the
    file that this one came from; of images with several labels and of running text, quality then has the difference
    too (`against_parent`, see `map_difference`, `bits_difference`). `members`: places, among the training images, of
    those that stand for what it was trained on (`privacy.members_of`); None where that is not known. `came_from`: the
    file that this one came from; layers then tell their `sqnr_db`, or in `sqnr_note` why they have none, and the report
    that of the logits
    (`kdcore.measure.sqnr`). Quality is that on the test split; nothing is chosen on it. Raises ValueError when the file
    cannot be run or gives no finite numbers.
    """
    running = runtime.session(path)
    labels = {"test": dataset.test_labels, "validation": dataset.train_labels[split.validation]}
    logits = {
        "test": _logits(running, dataset.kind, dataset.test_images, np.arange(len(dataset.test_labels))),
        "validation": _logits(running, dataset.kind, dataset.train_images, split.validation),
    }
    found = layers(path, dataset.shape) if network is not None else _layers_of_another(path, dataset.shape)
    test, validation = ((logits[part], labels[part]) for part in ("test", "validation"))
    measured = _quality(test, validation, dataset, hidden)
    if parent is not None and (difference := _difference(test, parent, dataset)):
        measured["against_parent"] = difference
    dependent = dataset.kind.together(dataset.test_images) is not None
    known = None if members is None or dependent else _members(running, dataset, members, test)
    report = {
        "quality": measured,
        "privacy": missing(DEPENDENT) if dependent else _privacy(known, dataset.test_labels),
        "size": size(path),
        "layers": found,
        "sqnr": _noise(path, came_from, found, dataset, split),
    }
    if network is not None:
        report["cost"] = cost(network, dataset.shape, found)
    return Evaluation(report, logits, known)


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
    privacy = missing(UNKNOWN_IMAGES)
    return Evaluation(
        {"quality": found, "privacy": privacy, "size": None, "cost": None, "layers": [], "sqnr": None}, logits
    )


def _quality(
    test: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray],
    dataset: Dataset,
    hidden: Sequence[str],
) -> dict[str, Any]:
    if dataset.multilabel:
        found = multilabel_quality(*test, dataset.classes) | {"map_interval": map_interval(*test), "hidden": []}
    else:
        recalled = [{"class": name} | hidden_recall(test, validation, dataset.classes.index(name)) for name in hidden]
        found = quality(*test, dataset.classes) | {"hidden": recalled}
    if (documents := dataset.kind.together(dataset.test_images)) is not None:
        found |= bits(of_documents(*test, documents, dataset.kind.characters(dataset.test_images, test[1])))
    return found | {"calibration": calibration(test, validation, hidden)}


def _difference(test: tuple[np.ndarray, np.ndarray], parent: np.ndarray, dataset: Dataset) -> dict[str, Any] | None:
    """From the parent's answers, where it is judged by more than each answer alone."""
    if dataset.multilabel:
        return map_difference(test[0], parent, test[1])
    documents = dataset.kind.together(dataset.test_images)
    if documents is None:
        return None
    about = test[1], documents, dataset.kind.characters(dataset.test_images, test[1])
    return bits_difference(of_documents(test[0], *about), of_documents(parent, *about))


def _members(running: Any, dataset: Dataset, images: np.ndarray, test: tuple[np.ndarray, np.ndarray]) -> Members:
    labels = np.asarray(dataset.train_labels)[images]
    said = _logits(running, dataset.kind, dataset.train_images, images)
    return Members(images, labels, losses(said, labels), losses(*test))


def _privacy(known: Members | None, test_labels: np.ndarray) -> dict[str, Any]:
    if known is None:
        return missing(UNKNOWN_IMAGES)
    return privacy(known.losses, known.test[non_members(known.labels, np.asarray(test_labels))])


def _noise(
    path: Path, came_from: Path | None, layers: list[dict[str, Any]], dataset: Dataset, split: Split
) -> dict[str, Any] | None:
    """Puts its SQNR into each layer's row, and returns that of the logits; None where there is nothing to compare."""
    for row in layers:
        row |= {"sqnr_db": None, "sqnr_note": ""}
    if came_from is None or not layers:
        return None
    validation = split.validation[:: max(1, len(split.validation) // IMAGES)][:IMAGES]
    noise = sqnr(path, came_from, dataset.kind.feed(dataset.train_images[validation]))
    for row, level in zip(layers, noise.layers, strict=True):
        row |= {"sqnr_db": level.db, "sqnr_note": level.note}
    return {"images": len(validation), "logits_db": noise.logits.db, "logits_note": noise.logits.note}


def _layers_of_another(path: Path, shape: Shape) -> list[dict[str, Any]]:
    try:
        return layers(path, shape)
    except ValueError:
        return []


def _logits(running: Any, kind: Kind, images: Items, indices: np.ndarray) -> np.ndarray:
    order = kind.by_length(images, indices)
    parts = [images[indices[order[at : at + BATCH]]] for at in range(0, len(order), BATCH)]
    found = np.concatenate([kind.answers(runtime.logits(running, kind.feed(part)), part) for part in parts])
    return found[np.argsort(order)]
