"""Which images come when. Everything derives from (seed, position), so a resumed run goes on as if never stopped."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

LEAST_STEPS = 25  # of an epoch: with 50 images a pass is one step, and telling each one would cost more than it


def epoch_steps(images: int, batch_size: int) -> int:
    """Optimizer steps between two rows of the history: whole passes over the images, at least 25 steps."""
    passes = max(1, math.ceil(LEAST_STEPS * batch_size / images))
    return math.ceil(passes * images / batch_size)


def steps_of(epochs: int, images: int, batch_size: int) -> int:
    """Optimizer steps that show every image `epochs` times."""
    return math.ceil(epochs * images / batch_size)


@lru_cache(maxsize=4)
def _permutation(seed: int, passing: int, images: int) -> np.ndarray:
    return np.random.default_rng([seed, passing]).permutation(images)


def batch(seed: int, step: int, images: int, batch_size: int) -> np.ndarray:
    """Indices (batch_size,) of the images of one step.

    Passes follow each other without a gap, so every image is seen equally often, also when a batch
    is larger than the data.
    """
    positions = np.arange(step * batch_size, (step + 1) * batch_size)
    passes, places = np.divmod(positions, images)
    indices = np.empty(batch_size, dtype=np.int64)
    for passing in range(passes[0], passes[-1] + 1):
        here = passes == passing
        indices[here] = _permutation(seed, int(passing), images)[places[here]]
    return indices


def views_seed(seed: int, epoch: int) -> int:
    """Seed of the random views of one epoch."""
    return int(np.random.SeedSequence([seed, epoch, 0x76]).generate_state(1, np.uint64)[0] >> 1)


def chance_seed(seed: int, step: int) -> int:
    """Seed of what a method draws at random in one step."""
    return int(np.random.SeedSequence([seed, step, 0x63]).generate_state(1, np.uint64)[0] >> 1)
