"""Robustness: how accurate models stay on corrupted test images, class by class (Hendrycks and Dietterich 2019).

The result is the plain mean over five corruptions and five severities, on the deployed files. It is not
the paper's mCE, which divides each corruption's errors by those of AlexNet.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kdcore import inputs
from kdcore.inputs.kind import SEVERITIES, Items, Kind, Shape
from kdcore.inputs.pictures import KIND as PICTURES
from kdcore.measure.multilabel import average_precision
from kdcore.measure.shares import check, share

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

VERSION = 1  # of the protocol: raised when the same model would get other numbers
MOST_IMAGES = 2000
FILE = "robustness.json"  # beside the model
CONDITIONS = 1 + 5 * len(SEVERITIES)
AT_ONCE = 2**20  # pixel values in a batch, so that some images of any size fit
BATCH = 256


class Answer(NamedTuple):
    """What a model makes of the images in one condition.

    `score`: accuracy, or the mean average precision of images with several labels; `by_class`: recall or average
    precision, None of a class without images; `right`: bool (N,), None where images have several labels.
    """

    score: float
    by_class: list[float | None]
    right: NDArray[np.bool_] | None


def robustness(
    models: Mapping[str, Path | InferenceSession],
    images: Items,
    labels: NDArray[Any],
    classes: Sequence[str],
    *,
    kind: Kind = PICTURES,
    most: int = MOST_IMAGES,
    seed: int = 0,
    threads: int = 1,
    on_progress: Callable[[float], None] | None = None,
) -> dict[str, dict[str, Any]]:
    """A JSON document for each of the ONNX files `models`, which all see the very same corrupted images.

    `images`: items of the kind, `labels` (N,), or 0 and 1 (N, K) where images have several. Of more than `most` images
    a subset is measured, the same for every model (see `chosen`). The images are corrupted once for all models, batch
    by batch. `on_progress` hears the share that is done, 0..1, after each batch, and may raise to end it.

    A document: `protocol` (what must be equal for two to be compared); `measure`, "accuracy" or "mAP"; `n` images;
    `clean` and `corrupted`, the plain mean over all corruptions and severities; `right`, the images that are right
    without corruption, as `unpacked` reads them; `corruptions`: name, `score` (mean over severities) and `severities`:
    severity, score, right; `classes`: name, n, `clean`, and by corruption its mean over the severities, recalls or
    average precisions, None without images. Shares are in 0..1. Raises UnreadableModel, and ValueError where a model
    does not take the images or answers with what is no number.
    """
    from kdcore.export import runtime

    running = {
        key: runtime.session(model, threads) if isinstance(model, Path) else model for key, model in models.items()
    }
    rows = chosen(len(images), most)
    truth = np.asarray(labels)[rows]
    answers: dict[str, list[Answer]] = {key: [] for key in running}
    steps = 0
    shape = kind.shape(images)
    parts = _parts(rows, kind.values(shape))
    for corruption, severity in conditions(kind):
        said: dict[str, list[NDArray[np.float32]]] = {key: [] for key in running}
        for part in parts:
            batch = images[part]
            feed = kind.feed(kind.corrupted(batch, corruption, severity, seed) if corruption else batch)
            for key, model in running.items():
                said[key].append(kind.answers(runtime.logits(model, feed), batch))
            steps += 1
            if on_progress:
                on_progress(steps / (len(parts) * CONDITIONS))
        for key, logits in said.items():
            answers[key].append(_answer(np.concatenate(logits), truth, len(classes)))
    about = protocol(len(images), shape, most, seed)
    return {key: _document(found, truth, classes, about, list(kind.corruptions)) for key, found in answers.items()}


def conditions(kind: Kind) -> Iterator[tuple[str, int]]:
    """Corruption and severity, in the order in which they are measured; the clean images, "" at 0, come first."""
    yield "", 0
    for corruption in kind.corruptions:
        for severity in SEVERITIES:
            yield corruption, severity


def chosen(count: int, most: int) -> NDArray[np.intp]:
    """Which of `count` images are measured: all, or `most` of them drawn once and for all, in their order."""
    return np.sort(np.random.RandomState(0).permutation(count)[:most])


def protocol(count: int, shape: Shape, most: int = MOST_IMAGES, seed: int = 0) -> dict[str, Any]:
    """What the numbers of `count` inputs of this shape rest on; two of one protocol are comparable."""
    return {
        "version": VERSION,
        "images": min(count, most),
        "of": count,
        "seed": seed,
        **inputs.of(shape).strengths(shape),
    }


def packed(right: NDArray[np.bool_] | None) -> str | None:
    """Which images are right, as text: eight to a byte, in base64."""
    return None if right is None else base64.b64encode(np.packbits(right).tobytes()).decode()


def unpacked(text: str | None, n: int) -> NDArray[np.bool_] | None:
    """bool (n,) as `packed` wrote it."""
    if text is None:
        return None
    return np.unpackbits(np.frombuffer(base64.b64decode(text), np.uint8), count=n).astype(bool)


def _parts(rows: NDArray[np.intp], values: int) -> list[NDArray[np.intp]]:
    size = max(1, min(BATCH, AT_ONCE // values))
    return [rows[at : at + size] for at in range(0, len(rows), size)]


def _answer(logits: NDArray[np.float32], truth: NDArray[Any], classes: int) -> Answer:
    check(logits, (len(truth), classes), classes)
    if truth.ndim == 2:
        averages = [average_precision(logits[:, k], truth[:, k].astype(bool)) for k in range(classes)]
        known = [average for average in averages if average is not None]
        return Answer(float(np.mean(known)) if known else 0.0, averages, None)
    right = logits.argmax(axis=1) == truth
    whole = np.bincount(truth, minlength=classes)
    recalls = share(np.bincount(truth[right], minlength=classes), whole)
    return Answer(float(right.mean()), [float(r) if n else None for r, n in zip(recalls, whole, strict=True)], right)


def _document(
    answers: Sequence[Answer], truth: NDArray[Any], classes: Sequence[str], about: dict[str, Any], names: Sequence[str]
) -> dict[str, Any]:
    clean, *corrupted = answers
    at = len(SEVERITIES)
    groups = {name: corrupted[place * at : (place + 1) * at] for place, name in enumerate(names)}
    counts = truth.sum(axis=0) if truth.ndim == 2 else np.bincount(truth, minlength=len(classes))
    return {
        "protocol": about,
        "measure": "mAP" if truth.ndim == 2 else "accuracy",
        "n": len(truth),
        "clean": clean.score,
        "corrupted": float(np.mean([answer.score for answer in corrupted])),
        "right": packed(clean.right),
        "corruptions": [
            {
                "corruption": name,
                "score": float(np.mean([answer.score for answer in group])),
                "severities": [
                    {"severity": severity, "score": answer.score, "right": packed(answer.right)}
                    for severity, answer in zip(SEVERITIES, group, strict=True)
                ],
            }
            for name, group in groups.items()
        ],
        "classes": [
            {"class": name, "n": int(counts[k]), "clean": clean.by_class[k]}
            | {corruption: _mean([answer.by_class[k] for answer in group]) for corruption, group in groups.items()}
            for k, name in enumerate(classes)
        ],
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
