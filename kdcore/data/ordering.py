"""Random orders of images, each prefix of which holds its share of every class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def stratified_order(labels: np.ndarray, seed: Sequence[int]) -> np.ndarray:
    """A random order of the images, each prefix of which holds the same share of every class.

    Image r (from 0) of the n in its class comes at place (r + 1/2) / n, which is Sainte-Laguë's way to share out
    seats, except that one image of every class comes before all others. RandomState, because numpy promises
    that its numbers never change.
    """
    shuffled = np.random.RandomState(list(seed)).permutation(len(labels))
    _, classes, sizes = np.unique(labels[shuffled], return_inverse=True, return_counts=True)
    by_class = np.argsort(classes, kind="stable")
    rank = np.empty(len(labels), dtype=np.int64)
    rank[by_class] = np.arange(len(labels)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    place = np.where(rank == 0, 0.0, (rank + 0.5) / sizes[classes])
    return shuffled[np.argsort(place, kind="stable")]


def label_set_order(labels: np.ndarray, seed: Sequence[int]) -> np.ndarray:
    """A random order of images with several labels each, 0 or 1 (N, K), stratified by each image's rarest label.

    Images without any label are a stratum too. First of all come images that between them have every class.
    """
    count = images_by_class(labels, labels.shape[1])
    rarest = np.where(labels.any(axis=1), np.where(labels, count, len(labels) + 1).argmin(axis=1), labels.shape[1])
    order = stratified_order(rarest, seed)
    first: list[int] = []
    for index in np.argsort(count, kind="stable"):
        holders = order[labels[order, index] == 1]
        if len(holders) and not labels[first, index].any():
            first.append(int(holders[0]))
    return np.concatenate([np.array(first, dtype=order.dtype), order[~np.isin(order, first)]])


def whole_order(whole: np.ndarray, seed: Sequence[int]) -> np.ndarray:
    """A random order of what `whole` (N,) numbers, the items of each as they were."""
    numbers, which = np.unique(whole, return_inverse=True)
    rank = np.random.RandomState(list(seed)).permutation(len(numbers))
    return np.argsort(rank[which], kind="stable")


def images_by_class(labels: np.ndarray, classes: int) -> np.ndarray:
    """How many images each of the K classes has, int64 (K,), from labels (N,), or 0 and 1 (N, K)."""
    if labels.ndim == 2:
        return labels.sum(axis=0, dtype=np.int64)
    return np.bincount(labels.astype(np.int64), minlength=classes)
