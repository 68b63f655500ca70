"""Errors that one file makes and another does not."""

import numpy as np
import pytest
from scipy.stats import binomtest

from kdcore.report.confusions import shifts


def test_errors_are_paired_by_image_and_the_diagonal_is_left_out():
    labels = np.array([0] * 12 + [1] * 4)
    mine = np.array([1] * 9 + [0] * 3 + [1] * 4)
    theirs = np.array([1] + [0] * 8 + [2, 0, 0] + [1] * 4)
    found = shifts(mine, theirs, labels)
    assert [one[:4] for one in found] == [(0, 1, 8, 0), (0, 2, 0, 1)]
    assert found[0].p == pytest.approx(2 * binomtest(8, 8).pvalue)  # Holm: the smaller of two
    assert shifts(mine, mine, labels) == []
