"""Softened distributions: what a temperature makes of logits. Plain numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

# About equal steps on a log scale; 1 and 4, the temperatures that papers use most, are among them.
_TICKS = """0.25 0.3 0.35 0.4 0.5 0.6 0.7 0.85 1 1.2 1.4 1.7 2 2.4 2.8 3.4 4 4.8 5.6 6.7 8 9.5
            11 13 16 19 22 27 32 38 45 50"""
TEMPERATURES = tuple(float(tick) for tick in _TICKS.split())

Floats = NDArray[np.float64]


def soften(logits: ArrayLike, temperature: float) -> Floats:
    """softmax(logits / temperature) over the last axis (Hinton et al. 2015, eq. 1), in float64.

    Raises ValueError for a temperature that is not above zero.

    >>> soften([0.0, 0.0], 1).tolist()
    [0.5, 0.5]
    """
    if not temperature > 0:
        raise ValueError(f"a temperature must be above 0; {temperature} is not")
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    exponent = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return exponent / exponent.sum(axis=-1, keepdims=True)


def yes(logits: ArrayLike, temperature: float) -> Floats:
    """sigmoid(logits / temperature), in float64: the answers of a network that says yes or no of each class.

    Raises ValueError for a temperature that is not above zero.

    >>> yes([0.0, 0.0], 1).tolist()
    [0.5, 0.5]
    """
    return soften(pairs(logits), temperature)[..., 0]


def pairs(logits: ArrayLike) -> Floats:
    """(..., K, 2): each class's logit beside that of its absence, whose softmax is `yes` and no."""
    given = np.asarray(logits, dtype=np.float64)
    return np.stack([given, np.zeros_like(given)], axis=-1)


def entropy(probabilities: ArrayLike) -> Floats:
    """Shannon entropy in nats over the last axis: 0 for certainty, log(classes) for a uniform guess."""
    p = np.asarray(probabilities, dtype=np.float64)
    terms = np.zeros_like(p)
    np.log(p, out=terms, where=p > 0)
    return -(p * terms).sum(axis=-1) + 0.0


def divergence(logits: ArrayLike, others: ArrayLike, temperature: float) -> Floats:
    """KL(softened `logits` ‖ softened `others`) in nats over the last axis. Taken from logarithms: never overflows."""
    mine, theirs = (_log_softmax(np.asarray(values, dtype=np.float64) / temperature) for values in (logits, others))
    return np.maximum((np.exp(mine) * (mine - theirs)).sum(axis=-1), 0.0)


def _log_softmax(scaled: Floats) -> Floats:
    shifted = scaled - scaled.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def likeness(logits: ArrayLike, labels: ArrayLike, temperature: float) -> Floats:
    """(K, K): row i is the mean softened answer to the images of class i, and NaN where there are none.

    `logits` is (N, K), `labels` (N,) with values 0..K-1. With several labels an image, (N, K) of 0 and 1, entry (i, j)
    is what images that hold i and not j are given for j.
    """
    of = np.asarray(labels)
    if of.ndim == 2:
        held = of.astype(np.float64)
        with np.errstate(invalid="ignore"):
            return (held.T @ (yes(logits, temperature) * (1 - held))) / (held.T @ (1 - held))
    answers = soften(logits, temperature)
    classes = answers.shape[1]
    sums, counts = np.zeros((classes, classes)), np.bincount(of, minlength=classes)
    np.add.at(sums, of, answers)
    with np.errstate(invalid="ignore"):
        return sums / counts[:, None]
