"""Writing soft-label files: what a teacher says of every example of a data set, for students of a later day.

The teacher is a model of an earlier run, asked through its ONNX file, or a forest or support vector machine of
scikit-learn that is trained here and then.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kdcore.data.dataset import load
from kdcore.data.splits import split
from kdcore.data.types import Dataset
from kdcore.distill import softlabels
from kdcore.distill.traits import TeacherTraits
from kdcore.files import read_json, replacing
from kdcore.inputs import of
from kdcore.inputs.kind import Items
from kdcore.problems import Problem, RecipeError
from kdcore.recipe import Data, parse
from kdcore.workspace.library import Library
from kdcore.workspace.workspace import UnknownRun, Workspace

TREES = 300
BATCH = 256


class Softened(NamedTuple):
    """What was written: about how many examples, and the teacher's test accuracy (a share)."""

    file: str
    source: str
    images: int
    accuracy: float


def soften(workspace: Workspace, source: str, target: Path, data: Data) -> Softened:
    """Writes the answers of `source` about all examples of `data.source` to `target`.

    `source`: a run's id (its teacher), RUN/VARIANT, a model's key, "sklearn:forest" or "sklearn:svm". The latter two
    are trained on the training examples without the validation share. Raises RecipeError.
    """
    dataset = load(data.source)
    if dataset.kind.read_as not in TeacherTraits.named("soft_labels").reads:
        raise RecipeError([Problem("--data", f"a soft-label file cannot hold answers about {dataset.kind.many}")])
    if dataset.multilabel:
        raise RecipeError([Problem("--data", f"{dataset.name} has several labels per example; soft labels need one")])
    if source.startswith("sklearn:"):
        train, test, words = _sklearn(source, dataset, split(dataset, data).teacher)
        kind = "probabilities"
    else:
        train, test, words = _model(workspace, source, dataset)
        kind = "logits"
    try:
        with replacing(target) as temporary:
            softlabels.write(temporary, dataset, train, test, words, kind=kind)
    except OSError as error:
        raise RecipeError([Problem("--output", f"{target} cannot be written: {error.strerror}")]) from None
    return Softened(str(target), words, len(train), float((test.argmax(axis=1) == dataset.test_labels).mean()))


def about(workspace: Workspace, source: str, data: Any, validation: float) -> Data:
    """What is answered about: the data set `data` (a name, or options), else that of the run, else the usual.

    Raises RecipeError.
    """
    asked: dict[str, Any] = {"validation": validation}
    if data is not None:
        asked["source"] = data
    elif not source.startswith("sklearn:"):
        with contextlib.suppress(UnknownRun):
            document = read_json(workspace.run(source.partition("/")[0]) / "recipe.json")
            asked |= {"source": document["data"]["source"]} if "data" in document else {}
    return parse({"data": asked}).data


def _model(workspace: Workspace, source: str, dataset: Dataset) -> tuple[np.ndarray, np.ndarray, str]:
    """Logits of a finished model's deployed file."""
    from kdcore.export import runtime

    run, _, variant = source.partition("/")
    try:
        found = Library(workspace).find(run, variant or "teacher")
    except RecipeError as error:
        raise RecipeError([Problem("source", problem.message) for problem in error.problems]) from None
    if found.shape != dataset.shape or found.classes != dataset.classes:
        message = (
            f"{found.name} expects {of(found.shape).size(found.shape)} and {len(found.classes)} classes, not those of "
            f"{dataset.name}: name its data set with --data"
        )
        raise RecipeError([Problem("source", message)])
    if found.gives == "table":
        raise RecipeError([Problem("source", f"{found.name} is itself a file of soft labels: use that file")])
    running = runtime.session(found.folder / "model.onnx")

    def said(items: Items) -> np.ndarray:
        parts = (items[at : at + BATCH] for at in range(0, len(items), BATCH))
        return np.concatenate([runtime.logits(running, dataset.kind.feed(part)) for part in parts])

    return said(dataset.train_images), said(dataset.test_images), f"{found.name}, model {found.key[:12]}"


def _sklearn(source: str, dataset: Dataset, shown: np.ndarray) -> tuple[np.ndarray, np.ndarray, str]:
    """Probabilities of a classic model, which learns from pixels, or from the words of texts."""
    known: dict[str, Callable[..., tuple[np.ndarray, np.ndarray, str]]] = {"forest": _forest, "svm": _svm}
    name = source.removeprefix("sklearn:")
    if name not in known:
        raise RecipeError([Problem("source", f"there is no sklearn:{name}; there are: sklearn:forest, sklearn:svm")])
    train, test = dataset.kind.features(dataset.train_images, dataset.test_images)
    labels = np.asarray(dataset.train_labels)[shown]
    return known[name](train, test, shown, labels, len(dataset.classes))


def _forest(
    train: Any, test: Any, shown: np.ndarray, labels: np.ndarray, classes: int
) -> tuple[np.ndarray, np.ndarray, str]:
    """A random forest. Images that it was trained on are judged by the trees that did not see them (out of bag)."""
    from sklearn.ensemble import RandomForestClassifier

    model = RandomForestClassifier(TREES, oob_score=True, random_state=0, n_jobs=1).fit(train[shown], labels)
    rows = _in_place(model, model.predict_proba(train), classes)
    judged = np.isfinite(model.oob_decision_function_).all(axis=1)
    rows[shown[judged]] = _in_place(model, model.oob_decision_function_[judged], classes)
    return (
        smoothed(rows),
        smoothed(_in_place(model, model.predict_proba(test), classes)),
        (f"scikit-learn random forest of {TREES} trees, trained on {len(shown):,} examples"),
    )


def _svm(
    train: Any, test: Any, shown: np.ndarray, labels: np.ndarray, classes: int
) -> tuple[np.ndarray, np.ndarray, str]:
    """A support vector machine with an RBF kernel whose scores are calibrated to probabilities on held-out fifths.

    It is very sure: half of its probabilities are below one in a million, and count as that much when they are read.
    """
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.svm import SVC

    folds = max(2, min(5, int(np.unique(labels, return_counts=True)[1].min())))
    model = CalibratedClassifierCV(SVC(random_state=0), cv=folds, ensemble=False).fit(train[shown], labels)
    train_said, test_said = (_in_place(model, model.predict_proba(part), classes) for part in (train, test))
    return train_said, test_said, f"scikit-learn SVM, calibrated, trained on {len(shown):,} examples"


def smoothed(probabilities: np.ndarray, trees: int = TREES) -> np.ndarray:
    """A forest's votes (N, K) and those of one more tree that knows nothing, 1/K for each class: none is zero then."""
    return (trees * probabilities + 1 / probabilities.shape[1]) / (trees + 1)


def _in_place(model: Any, said: np.ndarray, classes: int) -> np.ndarray:
    """Columns for all K classes, also for those of which the model saw no image."""
    whole = np.zeros((len(said), classes))
    whole[:, model.classes_] = said
    return whole
