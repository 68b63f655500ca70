"""Which inputs come when. Everything derives from (seed, position), so a resumed run goes on as if never stopped."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

WINDOW = 64  # batches out of which inputs of a like length are put together


@lru_cache(maxsize=4)
def _permutation(seed: int, passing: int, images: int) -> np.ndarray:
    return np.random.default_rng([seed, passing]).permutation(images)


def batch(
    seed: int,
    step: int,
    images: int,
    batch_size: int,
    ordered: Callable[[int, int, int], np.ndarray] | None = None,
) -> np.ndarray:
    """Indices (batch_size,) of the images of one step.

    Passes follow each other without a gap, so every image is seen equally often, also when a batch
    is larger than the data. `ordered`: by seed, pass and batch size, the order of all images in that pass; else random.
    """
    positions = np.arange(step * batch_size, (step + 1) * batch_size)
    passes, places = np.divmod(positions, images)
    indices = np.empty(batch_size, dtype=np.int64)
    for passing in range(passes[0], passes[-1] + 1):
        here = passes == passing
        found = ordered(seed, int(passing), batch_size) if ordered else _permutation(seed, int(passing), images)
        indices[here] = found[places[here]]
    return indices


def bucketed(seed: int, passing: int, lengths: np.ndarray, batch_size: int) -> np.ndarray:
    """An order of the inputs in which a batch holds inputs of a like length, batches of all lengths come at random, and
    an input meets others in each pass. `lengths` (N,)."""
    count = len(lengths)
    order = _permutation(seed, passing, count)
    first = -passing * count % batch_size  # inputs that complete the batch which the pass before began
    whole = first + max(0, count - first) // batch_size * batch_size
    head, middle, tail = order[:first], order[first:whole], order[whole:]
    width = WINDOW * batch_size
    parts = [middle[at : at + width] for at in range(0, len(middle), width)]
    batches = [part[np.argsort(lengths[part], kind="stable")].reshape(-1, batch_size) for part in parts]
    if not batches:
        return order
    found = np.concatenate(batches)
    found = found[np.random.default_rng([seed, passing, 1]).permutation(len(found))]
    return np.concatenate([head, found.ravel(), tail])
