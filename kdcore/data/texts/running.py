"""Running text as a data set returns it: documents cut into windows, each character labelled with the one after it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, zip_longest
from typing import Any

import numpy as np

from kdcore.data.types import RawImages
from kdcore.inputs.passages import Passages, Windows
from kdcore.inputs.tokens import FIRST, Characters

EXCERPT = 512  # characters of an excerpt that are labelled
RARE = 20  # a character that the training text has fewer of becomes a space
SHOWN = {"\n": "↵", " ": "␣"}
Document = Sequence[str]  # its excerpts, each of EXCERPT + 1 characters


def excerpts(text: str) -> list[str]:
    """All of a text that fits into whole excerpts: the last character of one is the first of the next."""
    return [text[at : at + EXCERPT + 1] for at in range(0, len(text) - EXCERPT, EXCERPT)]


def budgeted(documents: Mapping[str, Document], characters: int) -> dict[str, Document]:
    """So many labelled characters at most: the first excerpt of each document, then the second, and so on."""
    rounds = zip_longest(*([(name, one) for one in found] for name, found in documents.items()))
    chosen: dict[str, list[str]] = {}
    for name, excerpt in list(filter(None, chain.from_iterable(rounds)))[: characters // EXCERPT]:
        chosen.setdefault(name, []).append(excerpt)
    return dict(chosen)


def raw(train: Mapping[str, Document], test: Mapping[str, Document], window: int, **about: Any) -> RawImages:
    """The data set of these documents, read in windows of `window` characters; the classes are the characters."""
    counts = Counter(chain.from_iterable(excerpt[1:] for excerpt in _all(train)))
    tokenizer = Characters("".join(sorted({" "} | {one for one, count in counts.items() if count >= RARE})), window)
    (train_items, train_labels), (test_items, test_labels) = (
        _labelled(part, tokenizer, window) for part in (train, test)
    )
    classes = tuple(SHOWN.get(one, one) for one in tokenizer.alphabet)
    return RawImages(train_items, train_labels, test_items, test_labels, classes, kind="passages", **about)


def _labelled(documents: Mapping[str, Document], tokenizer: Characters, window: int) -> tuple[Any, np.ndarray]:
    kept = set(tokenizer.alphabet)
    clean = ["".join(one if one in kept else " " for one in excerpt) for excerpt in _all(documents)]
    numbers = np.repeat(np.arange(len(documents)), [len(found) for found in documents.values()])
    ids = Characters(tokenizer.alphabet, EXCERPT + 1).encoded(clean).flat.reshape(len(clean), EXCERPT + 1)
    windows = np.ascontiguousarray(ids[:, :-1]).reshape(-1, window)
    of_documents = np.repeat(numbers, EXCERPT // window).astype(np.int32)
    return Passages(Windows(windows, of_documents), tokenizer), ids[:, 1:].ravel().astype(np.int64) - FIRST


def _all(documents: Mapping[str, Document]) -> Iterator[str]:
    return chain.from_iterable(documents.values())
