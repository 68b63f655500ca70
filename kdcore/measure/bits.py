"""Quality of a language model from its logits: bits a character, with intervals over whole documents."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from kdcore.measure.quality import log_softmax

RESAMPLES = 2000


class OfDocuments(NamedTuple):
    """Of each document: its characters, its examples (characters too, or tokens of several), how many of these were
    predicted, and the bits that all of them take, float64 (D,)."""

    characters: np.ndarray
    examples: np.ndarray
    right: np.ndarray
    bits: np.ndarray


def of_documents(logits: np.ndarray, labels: np.ndarray, documents: np.ndarray, characters: np.ndarray) -> OfDocuments:
    """Sums over the documents of logits (N, K), labels (N,), the document that each label comes from (N,) and how many
    characters it is (N,)."""
    _, which = np.unique(documents, return_inverse=True)
    taken = -log_softmax(logits)[np.arange(len(labels)), labels] / np.log(2)
    right = (logits.argmax(axis=1) == labels).astype(np.float64)
    return OfDocuments(*(np.bincount(which, weights) for weights in (characters, np.ones(len(labels)), right, taken)))


def bits(found: OfDocuments) -> dict[str, Any]:
    """`bits` a character (the sum of -log2 of the probabilities of what came, over its characters), `bits_interval`,
    and `accuracy_interval` of the share of examples that were predicted: 95 %, percentile bootstrap over `documents`.

    Characters of one document depend on each other, so the documents are drawn again, not the characters.
    """
    draws = _draws(len(found.characters))
    characters = draws @ found.characters
    return {
        "bits": float(found.bits.sum() / found.characters.sum()),
        "bits_interval": _interval(draws @ found.bits / characters),
        "accuracy_interval": _interval(draws @ found.right / (draws @ found.examples)),
        "documents": len(found.characters),
    }


def bits_difference(found: OfDocuments, parent: OfDocuments) -> dict[str, Any]:
    """How many bits a character a model takes fewer than its parent, on the same documents: `value`, `low` and `high`
    (95 %), and `p`, two-sided, from the paired bootstrap."""
    draws, less = _draws(len(found.characters)), parent.bits - found.bits
    drawn = draws @ less / (draws @ found.characters)
    low, high = _interval(drawn)
    tail = min(float((drawn <= 0).mean()), float((drawn >= 0).mean()))
    p = min(1.0, 2 * max(tail, 1 / RESAMPLES))
    return {"value": float(less.sum() / found.characters.sum()), "low": low, "high": high, "p": p}


def _draws(documents: int) -> np.ndarray:
    """How often each document (D,) is in each of the resamples, always the same ones."""
    chance = np.random.RandomState(0)
    return np.array(
        [np.bincount(chance.randint(documents, size=documents), minlength=documents) for _ in range(RESAMPLES)]
    )


def _interval(drawn: np.ndarray) -> list[float]:
    low, high = np.percentile(drawn, (2.5, 97.5))
    return [float(low), float(high)]
