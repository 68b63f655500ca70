"""Which errors one file makes that another does not, on the same test images: cell by cell of the confusion matrix."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kdcore.report.statistics import holm, mcnemar_exact


class Shift(NamedTuple):
    """Images of class `true` that are predicted as another class `said`: `more` by this file alone, `fewer` by the
    other alone. `p`: of McNemar's exact test after Holm's correction over all such pairs of classes."""

    true: int
    said: int
    more: int
    fewer: int
    p: float


def shifts(answers: NDArray[Any], others: NDArray[Any], labels: NDArray[Any]) -> list[Shift]:
    """The errors in which two files differ; `answers`, `others` and `labels` are classes, (N,).

    A pair of classes on which they agree image by image has p = 1 whatever the others' are, and is left out.
    """
    differ = answers != others
    more = _counted(labels[differ], answers[differ])
    fewer = _counted(labels[differ], others[differ])
    cells = sorted(more.keys() | fewer.keys())
    counts = [(more.get(cell, 0), fewer.get(cell, 0)) for cell in cells]
    corrected = holm([mcnemar_exact(*pair) for pair in counts])
    return [Shift(*cell, *pair, one.p) for cell, pair, one in zip(cells, counts, corrected, strict=True)]


def _counted(labels: NDArray[Any], said: NDArray[Any]) -> dict[tuple[int, int], int]:
    """Errors by true and predicted class."""
    wrong = labels != said
    pairs, counts = np.unique(np.stack([labels[wrong], said[wrong]]), axis=1, return_counts=True)
    return {(int(true), int(given)): int(count) for (true, given), count in zip(pairs.T, counts, strict=True)}
