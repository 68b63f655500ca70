"""Things to be compared, run in turns: short shuffled rounds in one process, reported as ratios with intervals."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Mapping

import numpy as np
import torch

RESAMPLES = 2000
FEWEST_ROUNDS = 5
TURN_SECONDS = 1.0  # of each, in a round: short beside the machine's moods, long beside one step


def rounds(
    running: Mapping[str, Callable[[int], object]], seconds: float, clock: Callable[[], float]
) -> dict[str, list[float]]:
    """Seconds of one step of each, a figure a round. `running`: functions that take that many steps.

    Each is warmed up first, and how many steps make a turn is found by trying.
    """
    steps = {name: _steps(run, clock) for name, run in running.items()}
    order, chance = list(running), random.Random(0)
    found: dict[str, list[float]] = {name: [] for name in running}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(found[order[0]]) < FEWEST_ROUNDS:
        chance.shuffle(order)
        for name in order:
            found[name].append(_timed(running[name], steps[name], clock) / steps[name])
    return found


def _steps(run: Callable[[int], object], clock: Callable[[], float]) -> int:
    _timed(run, 1, clock)
    return max(1, round(TURN_SECONDS / max(_timed(run, 1, clock), 1e-6)))


def _timed(run: Callable[[int], object], steps: int, clock: Callable[[], float]) -> float:
    started = clock()
    run(steps)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return clock() - started


def ratio(slow: list[float], fast: list[float]) -> tuple[float, float, float]:
    """How many times faster: median over rounds of the round's ratio, with its 95 % bootstrap interval."""
    each = np.array(slow) / np.array(fast)
    drawn = np.random.default_rng(0).choice(each, (RESAMPLES, len(each)))
    low, high = np.percentile(np.median(drawn, axis=1), [2.5, 97.5])
    return float(np.median(each)), float(low), float(high)


def ratio_text(slow: list[float], fast: list[float]) -> str:
    """The ratio in words of a table: "2.51 (2.44 to 2.60)"."""
    value, low, high = ratio(slow, fast)
    return f"{value:.2f} ({low:.2f} to {high:.2f})"


def rate(seconds: list[float], images: int) -> str:
    """Images a second in the median round."""
    return f"{images / statistics.median(seconds):,.0f}"
