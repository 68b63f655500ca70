"""Quality of a classifier of images with several labels each, from its logits: plain numpy, as in scikit-learn.

A logit above 0, a probability above one half, says that the image belongs to the class.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from kdcore.measure.shares import calibration_error, check, share

RESAMPLES = 1000
RESAMPLES_AT_ONCE = 200  # 8 MB each of some arrays at 10,000 images


def multilabel_quality(logits: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> dict[str, Any]:
    """Measures of logits float (N, K) against labels 0 or 1 (N, K), as a JSON document; N at least 1.

    `n`; `correct`: images whose whole label set is right, and `accuracy`, their share; `map`: mean average precision,
    over the classes that some image has; plain means over the K classes: `macro_precision`, `macro_recall`, `macro_f1`
    (0 where a class is never predicted or has no image); `ece`: see `calibration_error`, of the N * K decisions; `nll`:
    mean negative log likelihood of an image's label set, nats; `top5`: None, it has no meaning here; `per_class`:
    class, n, precision, recall, f1 and average_precision, None for a class without images.
    Raises ValueError for logits that are not finite or do not fit the labels.
    """
    check(logits, labels.shape, len(classes))
    true = labels.astype(bool)
    predicted = logits > 0
    both, claimed, held = (part.sum(axis=0) for part in (predicted & true, predicted, true))
    precision, recall, f1 = share(both, claimed), share(both, held), share(2 * both, claimed + held)
    averages = [average_precision(logits[:, k], true[:, k]) for k in range(len(classes))]
    found = [average for average in averages if average is not None]
    correct = int((predicted == true).all(axis=1).sum())
    wide = logits.astype(np.float64)
    confidence = 1 / (1 + np.exp(-np.abs(wide)))
    rates = zip(classes, held.tolist(), precision.tolist(), recall.tolist(), f1.tolist(), averages, strict=True)
    return {
        "n": len(labels),
        "correct": correct,
        "accuracy": correct / len(labels),
        "top5": None,
        "map": float(np.mean(found)) if found else 0.0,
        "macro_precision": float(precision.mean()),
        "macro_recall": float(recall.mean()),
        "macro_f1": float(f1.mean()),
        "ece": calibration_error(confidence.ravel(), (predicted == true).ravel()),
        "nll": float(np.logaddexp(0, np.where(true, -wide, wide)).sum(axis=1).mean()),
        "per_class": [
            {"class": name, "n": n, "precision": p, "recall": r, "f1": f, "average_precision": average}
            for name, n, p, r, f, average in rates
        ],
    }


def average_precision(scores: np.ndarray, true: np.ndarray) -> float | None:
    """Sum over the distinct scores, from the highest, of the recall won there times the precision down to there.

    `scores` (N,), `true` bool (N,). Equal scores count together, as in scikit-learn. None without a true one.
    """
    found = _weighted(scores, true, np.ones((len(scores), 1)))[0]
    return None if np.isnan(found) else float(found)


def map_interval(logits: np.ndarray, labels: np.ndarray, resamples: int = RESAMPLES) -> list[float]:
    """95 % interval of the mean average precision of logits (N, K): the percentile bootstrap over the images."""
    true = labels.astype(bool)
    drawn = [_mean(_averages(logits, true, counts)) for counts in _draws(len(true), resamples)]
    return np.quantile(np.concatenate(drawn), [0.025, 0.975]).tolist()


def map_difference(
    logits: np.ndarray, others: np.ndarray, labels: np.ndarray, resamples: int = RESAMPLES
) -> dict[str, float]:
    """How much higher the mean average precision of `logits` is than that of `others`, on the same images.

    All (N, K). `value`, and of the percentile bootstrap over the images the interval `low` to `high`, 95 %, and the
    two-sided `p` of "no difference": the interval excludes zero exactly where p is below 0.05. Both are measured on
    each resample, so that what an image does to both cancels. The same input gives the same numbers.
    """
    true = labels.astype(bool)

    def measured(counts: np.ndarray) -> np.ndarray:
        return _mean(_averages(logits, true, counts) - _averages(others, true, counts))

    differences = np.sort(np.concatenate([measured(counts) for counts in _draws(len(true), resamples)]))
    rank = max(1, math.ceil(0.025 * (1 + resamples)) - 1)  # below so many draws from one end, p is below 0.05
    low, high = differences[rank - 1], differences[-rank]
    beyond = min((differences <= 0).sum(), (differences >= 0).sum())
    value = measured(np.ones((len(true), 1)))[0]
    p = min(1.0, 2 * (1 + beyond) / (1 + resamples))
    return {"value": float(value), "low": float(low), "high": float(high), "p": float(p)}


def _draws(images: int, resamples: int) -> Iterator[np.ndarray]:
    """How often each image counts in each resample, float32 (images, some), some resamples at a time."""
    random = np.random.RandomState(0)
    for start in range(0, resamples, RESAMPLES_AT_ONCE):
        several = range(start, min(start + RESAMPLES_AT_ONCE, resamples))
        counts = [np.bincount(random.randint(0, images, images), minlength=images) for _ in several]
        yield np.stack(counts, axis=1).astype(np.float32)


def _averages(logits: np.ndarray, true: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Average precisions (K, B) where image i counts `counts[i, b]` times; NaN of a class that none then has."""
    return np.stack([_weighted(logits[:, k], true[:, k], counts) for k in range(true.shape[1])])


def _mean(averages: np.ndarray) -> np.ndarray:
    """The mean over the classes (B,) of what is known of them (K, B)."""
    known = ~np.isnan(averages)
    return np.where(known, averages, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)


def _weighted(scores: np.ndarray, true: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Average precisions (B,) where image i counts `counts[i, b]` times; NaN without a true one."""
    order = np.argsort(-scores, kind="stable")
    _, group = np.unique(-scores[order], return_inverse=True)  # equal scores count together
    hit = np.flatnonzero(true[order])
    if not len(hit):
        return np.full(counts.shape[1], np.nan)
    first = np.flatnonzero(np.diff(group[hit], prepend=-1))  # of the true ones, the first in each group that has any
    ends = np.searchsorted(group, group[hit[first]], side="right")
    drawn = counts[order[: ends[-1]]]
    seen = np.cumsum(np.add.reduceat(drawn, np.append(0, ends[:-1])), axis=0)
    won = np.add.reduceat(drawn[hit], first)
    total = won.sum(axis=0, dtype=np.float64)
    area = (won * np.cumsum(won, axis=0) / np.maximum(seen, 1)).sum(axis=0, dtype=np.float64)
    return np.divide(area, total, out=np.full(len(total), np.nan), where=total > 0)
