"""Lesson 8."""

import pytest

from kdcore.lessons.course.deep_compression import _ends


@pytest.mark.slow
def test_the_stored_file_is_many_times_smaller_and_hardly_worse(taught):
    _, found, answer = taught("deep-compression")
    before, after = _ends(found)
    assert answer.value > 20
    assert before["accuracy"] - after["accuracy"] < 0.02
    assert after["size_bytes"] >= before["size_bytes"]  # of the file that runs
