"""Labelled texts as a data set returns them: split, and tokenised once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from kdcore.data.ordering import stratified_order
from kdcore.data.types import RawImages
from kdcore.inputs.tokens import Characters, Texts, normalised


class Labelled(NamedTuple):
    """Texts and the class of each, by name."""

    texts: Sequence[str]
    labels: Sequence[str]


def divided(found: Labelled, share: float) -> tuple[Labelled, Labelled]:
    """Training and test texts; `share` of every class is for testing, always the same ones."""
    _, numbers = np.unique(np.array(found.labels, dtype=object).astype(str), return_inverse=True)
    order = stratified_order(numbers, (0, 0))
    count = max(round(share * len(order)), len(set(found.labels)))
    return _rows(found, np.sort(order[count:])), _rows(found, np.sort(order[:count]))


def _rows(found: Labelled, rows: np.ndarray) -> Labelled:
    return Labelled([found.texts[row] for row in rows], [found.labels[row] for row in rows])


def raw(train: Labelled, test: Labelled, longest: int, **about: Any) -> RawImages:
    """The data set of these texts, one token a character; classes in the order of their names.

    The tokenizer knows the characters of the training texts. `longest`: characters after which a text is cut. `about`:
    further fields of RawImages.
    """
    classes = sorted(set(train.labels))
    numbers = {name: number for number, name in enumerate(classes)}
    clean = [normalised(text)[:longest] for text in train.texts]
    tokenizer = Characters.of(clean, min(longest, max(map(len, clean))))
    items: list[Any] = [Texts.of(part.texts, tokenizer) for part in (train, test)]
    labels = [np.array([numbers[name] for name in part.labels], np.int64) for part in (train, test)]
    return RawImages(items[0], labels[0], items[1], labels[1], tuple(classes), kind="text", **about)
