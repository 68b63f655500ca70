"""Class by class, what one file recognises that another does not: recall on the same test images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kdcore.report.statistics import Corrected, holm, mcnemar, paired_proportions


class Change(NamedTuple):
    """A class's recall against another file's, in points, with its interval.

    `n`: test images of the class. `gained`, `lost`: of these recognised only here, and only there. `p`: of McNemar's
    test after Holm's correction over the classes; the interval is corrected alike.
    """

    name: str
    n: int
    gained: int
    lost: int
    points: float
    low: float
    high: float
    p: float


def class_changes(
    answers: NDArray[Any], others: NDArray[Any], labels: NDArray[Any], classes: Sequence[str]
) -> list[Change]:
    """A row for each class that a test image has, in the order of the classes.

    `answers`, `others`: the classes that the two files give, (N,), or where an image may have several labels whether
    each is given, bool (N, K); `labels` alike.
    """
    held, mine, theirs = (_each(one, len(classes)) for one in (labels, answers, others))
    found = []
    for k, name in enumerate(classes):
        own, other = mine[held[:, k], k], theirs[held[:, k], k]
        if len(own):
            found.append((name, len(own), int((own & ~other).sum()), int((other & ~own).sum())))
    corrected = holm([mcnemar(gained, lost) for _, _, gained, lost in found])
    return [_change(*row, correction) for row, correction in zip(found, corrected, strict=True)]


def _change(name: str, n: int, gained: int, lost: int, correction: Corrected) -> Change:
    one = paired_proportions(gained, lost, n, correction.confidence)
    return Change(name, n, gained, lost, 100 * one.value, 100 * (one.low or 0.0), 100 * (one.high or 0.0), correction.p)


def _each(given: NDArray[Any], classes: int) -> NDArray[np.bool_]:
    """Whether each class is given to each image, bool (N, K)."""
    return given.astype(bool) if given.ndim == 2 else given[:, None] == np.arange(classes)
