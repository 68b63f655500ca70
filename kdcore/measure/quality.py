"""Quality of a classifier from its logits: plain numpy, defined as in scikit-learn where it has the measure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kdcore.measure.shares import calibration_error, check, share


def quality(logits: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> dict[str, Any]:
    """Measures of logits float (N, K) against labels int (N,), as a JSON document; N at least 1.

    `n`, `correct`; shares in 0..1: `accuracy`, `top5`, and over the K classes the plain means
    `macro_precision`, `macro_recall`, `macro_f1` (0 where a class is never predicted or has no image);
    `ece`: see `calibration_error`; `nll`: mean negative log likelihood of the label, nats; `per_class`: class, n,
    precision, recall, f1; `confusion`: images by true class (row) and predicted class (column).
    Raises ValueError for logits that are not finite or do not fit the labels.
    """
    count = len(classes)
    check(logits, (len(labels), count), count)
    predicted = logits.argmax(axis=1)
    confusion = np.bincount(labels * count + predicted, minlength=count**2).reshape(count, count)
    right, true, claimed = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    precision, recall = share(right, claimed), share(right, true)
    f1 = share(2 * right, true + claimed)
    rates = zip(classes, precision.tolist(), recall.tolist(), f1.tolist(), strict=True)
    likelihood = log_softmax(logits)
    return {
        "n": len(labels),
        "correct": int(right.sum()),
        "accuracy": float(right.sum() / len(labels)),
        "top5": top_k(logits, labels, 5),
        "macro_precision": float(precision.mean()),
        "macro_recall": float(recall.mean()),
        "macro_f1": float(f1.mean()),
        "ece": calibration_error(np.exp(likelihood.max(axis=1)), predicted == labels),
        "nll": float(-likelihood[np.arange(len(labels)), labels].mean()),
        "per_class": [
            {"class": name, "n": int(true[k]), "precision": p, "recall": r, "f1": f}
            for k, (name, p, r, f) in enumerate(rates)
        ],
        "confusion": confusion.tolist(),
    }


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Logarithms of the probabilities, float64 (N, K), for logits (N, K)."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def top_k(logits: np.ndarray, labels: np.ndarray, k: int) -> float:
    """Share of images whose label is among the k highest logits; equal ones count in class order, as in argmax."""
    own = logits[np.arange(len(labels)), labels][:, None]
    before = np.arange(logits.shape[1]) < labels[:, None]
    rank = ((logits > own) | ((logits == own) & before)).sum(axis=1)
    return float((rank < k).mean())


def hidden_recall(
    test: tuple[np.ndarray, np.ndarray], validation: tuple[np.ndarray, np.ndarray], index: int
) -> dict[str, float]:
    """`recall` (0..1) of a class that the student never saw, and `recall_corrected`, with its bias corrected.

    `test`, `validation`: logits (N, K) and labels (N,). Corrected: the class's bias is set so that it is
    predicted on as many validation images as belong to it, one class at a time (Hinton et al. 2015, section 3).
    Validation holds images of the class, so the correction needs labels that the student did not have.
    """
    needed = np.sort(_needed_bias(validation[0], index))
    bias = _bias(needed, int((validation[1] == index).sum()))
    own = test[0][test[1] == index].astype(np.float64)
    corrected = own + bias * (np.arange(own.shape[1]) == index)
    return {"recall": _recall(own, index), "recall_corrected": _recall(corrected, index)}


def _recall(logits: np.ndarray, index: int) -> float:
    return float((logits.argmax(axis=1) == index).mean()) if len(logits) else 0.0


def _needed_bias(logits: np.ndarray, index: int) -> np.ndarray:
    """What must be added to the class's logit before each image is given to it, float64 (N,)."""
    logits = logits.astype(np.float64)
    return np.delete(logits, index, axis=1).max(axis=1) - logits[:, index]


def _bias(needed: np.ndarray, wanted: int) -> float:
    """A bias that gives the class `wanted` of the images whose needed biases are given in rising order."""
    if wanted == 0:
        return float(needed[0]) - 1.0
    if wanted == len(needed):
        return float(needed[-1]) + 1.0
    return float((needed[wanted - 1] + needed[wanted]) / 2)
