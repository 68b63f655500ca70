"""Lesson 7."""

import pytest

from kdcore.lessons.course.where_time_goes import FILTERS, STUDENT, ZEROS, _timed


@pytest.mark.slow
def test_zeros_are_no_faster_and_fewer_filters_are(taught):
    _, found, answer = taught("where-time-goes")
    student, zeros, filters = (found.row(name) for name in (STUDENT, ZEROS, FILTERS))
    assert zeros["sparsity"] > 0.89
    assert zeros["size_bytes"] == student["size_bytes"]
    assert 0.8 < answer.value < 1.25
    assert found.faster(FILTERS, STUDENT).low > max(1.3, answer.value)
    times = _timed(found, student)
    assert times.macs.keys() < times.ms.keys()  # and what has no weights
    assert filters["macs"] < 0.4 * student["macs"]
