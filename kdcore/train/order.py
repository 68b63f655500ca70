"""How long epochs are, and the seeds of chance: derived from (seed, position), so a resumed run stays the same."""

from __future__ import annotations

import math

import numpy as np

LEAST_STEPS = 25  # of an epoch: with 50 images a pass is one step, and telling each one would cost more than it


def epoch_steps(images: int, batch_size: int) -> int:
    """Optimizer steps between two rows of the history: whole passes over the images, at least 25 steps."""
    passes = max(1, math.ceil(LEAST_STEPS * batch_size / images))
    return math.ceil(passes * images / batch_size)


def steps_of(epochs: int, images: int, batch_size: int) -> int:
    """Optimizer steps that show every image `epochs` times."""
    return math.ceil(epochs * images / batch_size)


def views_seed(seed: int, epoch: int) -> int:
    """Seed of the random views of one epoch."""
    return int(np.random.SeedSequence([seed, epoch, 0x76]).generate_state(1, np.uint64)[0] >> 1)


def chance_seed(seed: int, step: int) -> int:
    """Seed of what a method draws at random in one step."""
    return int(np.random.SeedSequence([seed, step, 0x63]).generate_state(1, np.uint64)[0] >> 1)
