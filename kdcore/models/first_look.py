"""A first look at a network from elsewhere: how often it is right as it is asked, and whether another normalisation or
another order of the classes would make it right. NumPy alone."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kdcore.data.normalisations import Normalisation

LEAST = 48  # images, however slow the network
SECONDS = 20.0  # that all the asking may take, and SLOW times that where LEAST images take longer
SLOW = 3.0
CHUNK = 16  # images asked at a time
SIGMAS, POINTS = 3.0, 0.02  # how much better something must be to be suggested: beyond chance, and in accuracy
FITS = 0.5  # accuracy on other images of an order that was worked out from answers

Ask = Callable[[np.ndarray], np.ndarray]


class Plain:
    """In place of a normalisation, for inputs that networks take as they are: token ids."""

    def of(self, items: np.ndarray) -> np.ndarray:
        """The same."""
        return items


Way = Normalisation | Plain


class Suggestion(NamedTuple):
    """What would make the network right on a share `right` of the images.

    `pixels`: a name of `kdcore.data.normalisations`, None: as it is. `order`: the class of each of its outputs, None:
    as it is.
    """

    right: float
    pixels: str | None
    order: Sequence[int] | None


class Look(NamedTuple):
    """`images`: how many were evaluated. `right`: the share that is right as the network is asked. `chance`: what
    naming the commonest class would be right on."""

    images: int
    right: float
    chance: float
    suggestion: Suggestion | None

    @property
    def near_chance(self) -> bool:
        """Whether guessing would do as well, as far as so few images can tell."""
        return self.right <= self.chance + SIGMAS * math.sqrt(self.chance * (1 - self.chance) / self.images)

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Look:
        """From `document()`."""
        suggestion = document["suggestion"]
        return cls(**{**document, "suggestion": Suggestion(**suggestion) if suggestion else None})

    def document(self) -> dict[str, Any]:
        """As plain JSON types."""
        suggestion = self.suggestion
        return self._asdict() | {"suggestion": suggestion._asdict() if suggestion else None}


class Sample(NamedTuple):
    """Images uint8 (N, H, W, C), or ids (N, L), each beginning of which holds all classes alike; `labels` 0 and 1
    (N, K), `names`."""

    images: np.ndarray
    labels: np.ndarray
    names: Sequence[str]

    @classmethod
    def read(cls, path: Path) -> Sample:
        """What `write` wrote."""
        with np.load(path, allow_pickle=False) as file:
            return cls(file["images"], file["labels"], [str(name) for name in file["names"]])

    def write(self, path: Path) -> None:
        """As an .npz file, for a subprocess."""
        np.savez(path, images=self.images, labels=self.labels, names=np.array(self.names, dtype=str))


def look(
    ask: Ask,
    sample: Sample,
    now: Way,
    others: Mapping[str, Normalisation],
    order: Sequence[int] = (),
    seconds: float = SECONDS,
) -> Look:
    """`ask`: float32 (n, C, H, W), normalised, or ids (n, L), to float (n, K), as the network itself does it.

    `now`: how it is asked; `others`: what else to try. `order`: the class of each output; empty: as the classes come.
    """
    others = {name: other for name, other in others.items() if other != now}
    count, ways = _affordable(ask, sample.images, now, len(others), seconds)
    images, labels = sample.images[:count], sample.labels[:count].astype(bool)
    orders = [np.array(order if len(order) else range(labels.shape[1])), *_orders(sample.names)]
    tried: dict[str | None, Way] = {None: now}
    tried |= dict(list(others.items())[:ways])
    said = {name: _said(ask, images, way, labels, orders) for name, way in tried.items()}
    first = _hits(said[None].largest, orders[0], labels)
    found = _fitting(said, orders[0], labels, _suggestion(said, orders, labels))
    return Look(count, float(first.mean()), float(labels.mean(axis=0).max()), found)


def _affordable(ask: Ask, images: np.ndarray, now: Way, others: int, seconds: float) -> tuple[int, int]:
    """How many images a network is evaluated on, and in how many other ways, as its own pace allows."""
    started = time.perf_counter()
    ask(now.of(images[:CHUNK]))
    each = (time.perf_counter() - started) / min(CHUNK, len(images))
    count = min(len(images), max(LEAST, int(seconds / each / (1 + others))))
    return count, min(others, int(SLOW * seconds / (each * count)))


class _Said(NamedTuple):
    """`largest`: the output that is largest for each image. `fits`: by order, the mean log-probability of the label."""

    largest: np.ndarray
    fits: Sequence[float]


Answers = Mapping[str | None, _Said]  # by normalisation; None: as the network is asked now


def _said(ask: Ask, images: np.ndarray, way: Way, labels: np.ndarray, orders: Sequence[np.ndarray]) -> _Said:
    largest, fits = [], np.zeros(len(orders))
    for at in range(0, len(images), CHUNK):
        logits = ask(way.of(images[at : at + CHUNK])).astype(float)
        largest.append(logits.argmax(axis=1))
        shifted = logits - logits.max(axis=1, keepdims=True)
        chances = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        shown = labels[at : at + CHUNK]
        fits += [np.where(shown[:, order], chances, 0).sum() for order in orders]
    return _Said(np.concatenate(largest), (fits / labels.sum()).tolist())


def _hits(largest: np.ndarray, classes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    hits: np.ndarray = labels[np.arange(len(largest)), classes[largest]]
    return hits


class _Tried(NamedTuple):
    hits: np.ndarray
    fit: float
    suggestion: Suggestion


def _suggestion(said: Answers, orders: Sequence[np.ndarray], labels: np.ndarray) -> _Tried | None:
    """The best of all normalisations and usual orders. Of those that chance may part, the one that fits best: several
    normalisations can be right equally often, but the network's own makes it sure of what is true."""
    first = _hits(said[None].largest, orders[0], labels)
    tried = []
    for place, order in enumerate(orders):
        for pixels, answers in said.items():
            hits = _hits(answers.largest, order, labels)
            if _better(hits, first):
                suggestion = Suggestion(float(hits.mean()), pixels, order.tolist() if place else None)
                tried.append(_Tried(hits, answers.fits[place], suggestion))
    if not tried:
        return None
    best = max(tried, key=lambda one: one.hits.sum())
    return max((one for one in tried if not _better(best.hits, one.hits)), key=lambda one: one.fit)


def _fitting(said: Answers, classes: np.ndarray, labels: np.ndarray, usual: _Tried | None) -> Suggestion | None:
    """`usual`, or an order that half of the answers show and the other half confirms."""
    half = len(labels) // 2
    best = usual.hits if usual else _hits(said[None].largest, classes, labels)
    found = usual.suggestion if usual else None
    for pixels, answers in said.items():
        order = _fitted(answers.largest[:half], labels[:half], classes)
        hits, others = (_hits(answers.largest[half:], one, labels[half:]) for one in (order, classes))
        if hits.mean() >= FITS and _better(hits, best[half:]) and _better(hits, others):
            best = _hits(answers.largest, order, labels)
            found = Suggestion(float(hits.mean()), pixels, order.tolist())
    return found


def _better(hits: np.ndarray, others: np.ndarray) -> bool:
    """Whether the difference is more than chance and more than a trifle, on the same images."""
    gained, lost = int((hits & ~others).sum()), int((others & ~hits).sum())
    return gained - lost > max(SIGMAS * math.sqrt(gained + lost), POINTS * len(hits))


def _orders(names: Sequence[str]) -> Iterator[np.ndarray]:
    """The usual orders of classes: as people count, as programs sort, and that without regard to capitals."""
    for key in (natural, str, str.lower):
        yield np.array(sorted(range(len(names)), key=lambda at, key=key: key(names[at])))  # type: ignore[misc]


def natural(name: str) -> list[tuple[int, int, str]]:
    """A key that sorts "2" before "10"."""
    parts = re.findall(r"\d+|\D+", name)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part.lower()) for part in parts]


def _fitted(said: np.ndarray, labels: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The order, one class an output, with which most of these answers are right; classes without answers stay."""
    from scipy.optimize import linear_sum_assignment

    counts = np.zeros((labels.shape[1],) * 2)
    np.add.at(counts, said, labels.astype(float))
    counts[np.arange(len(classes)), classes] += 1e-6
    return np.asarray(linear_sum_assignment(counts, maximize=True)[1])
