"""Which training images the teacher, the student and neither (validation) are trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kdcore.data.ordering import label_set_order, stratified_order, whole_order
from kdcore.data.types import Dataset
from kdcore.problems import Problem, RecipeError
from kdcore.recipe import Data

_VALIDATION, LABELLED = 1, 2  # streams of the random order


@dataclass(frozen=True)
class Split:
    """Indices int64 into the training images.

    `teacher`: all but validation. `labelled`: the student's labelled images. `seen`: what the distilled
    student sees; begins with `labelled`, and the unlabelled rest follows where there is a transfer set.
    `validation`: of all classes, in none of the others.
    """

    teacher: np.ndarray
    labelled: np.ndarray
    seen: np.ndarray
    validation: np.ndarray


def split(dataset: Dataset, data: Data) -> Split:
    """Divides the training images as `data` says.

    Validation is the same for every seed. `data.seed` picks the labelled subset; with one seed, a smaller
    subset lies within a larger one. Hidden classes leave `labelled` and `seen`, and `data.labels` counts
    what is left. Raises RecipeError.
    """
    labels = np.asarray(dataset.train_labels)
    hidden = _hidden(dataset, data.hide_classes)
    count = max(round(data.validation * len(labels)), len(dataset.classes))
    whole = dataset.kind.together(dataset.train_images)
    order = _order(dataset, np.arange(len(labels)), (0, _VALIDATION))
    count = _whole(count, order, whole)
    validation, pool = np.sort(order[:count]), np.sort(order[count:])
    shown = _order(dataset, pool, (data.seed, LABELLED))
    if hidden:
        shown = shown[~np.isin(labels[shown], hidden)]
    wanted = _whole(_wanted(data, len(shown), len(dataset.classes) - len(hidden)), shown, whole)
    labelled, rest = np.sort(shown[:wanted]), np.sort(shown[wanted:])
    seen = np.concatenate([labelled, rest]) if data.transfer else labelled
    return Split(teacher=pool, labelled=labelled, seen=seen, validation=validation)


def _order(dataset: Dataset, places: np.ndarray, seed: Sequence[int]) -> np.ndarray:
    """These training images in a random order, in which those that belong together follow each other."""
    whole = dataset.kind.together(dataset.train_images)
    if whole is not None:
        return places[whole_order(whole[places], seed)]
    ordered = label_set_order if dataset.multilabel else stratified_order
    return places[ordered(np.asarray(dataset.train_labels)[places], seed)]


def _whole(count: int, order: np.ndarray, whole: np.ndarray | None) -> int:
    """The first `count` of an order, and what belongs together with the last of them."""
    if whole is None or not 0 < count < len(order):
        return count
    last = np.flatnonzero(whole[order] == whole[order[count - 1]])[-1]
    return int(last) + 1


def _hidden(dataset: Dataset, names: Sequence[str]) -> list[int]:
    """Indices of the hidden classes. Raises RecipeError."""
    classes = dataset.classes
    if names and dataset.multilabel:
        message = "these images have several labels each: hiding one class would hide others too. Leave it empty"
        raise RecipeError([Problem("data.hide_classes", message)])
    if names and dataset.kind.together(dataset.train_images) is not None:
        message = f"{dataset.kind.many} stand in documents with others, so none can be hidden. Leave it empty"
        raise RecipeError([Problem("data.hide_classes", message)])
    unknown = [name for name in names if name not in classes]
    if unknown:
        message = f"there is no class {', '.join(map(repr, unknown))}; there are: {', '.join(classes)}"
        raise RecipeError([Problem("data.hide_classes", message)])
    hidden = sorted({classes.index(name) for name in names})
    if len(classes) - len(hidden) < 2:
        message = f"hides {len(hidden)} of {len(classes)} classes; the student needs at least 2"
        raise RecipeError([Problem("data.hide_classes", message)])
    return hidden


def _wanted(data: Data, available: int, classes: int) -> int:
    """How many labelled images the student gets. Raises RecipeError."""
    if data.labels is None:
        return available
    if not classes <= data.labels <= available:
        message = f"{data.labels} is not possible: {classes} (one of each class) to {available} (all) are accepted"
        raise RecipeError([Problem("data.labels", message)])
    return data.labels
