"""Lesson 9."""

import pytest

from kdcore.lessons.course.what_it_forgets import _against, _changes


@pytest.mark.slow
def test_compression_costs_accuracy_on_corrupted_images(taught):
    _, found, answer = taught("what-it-forgets")
    assert answer.high < 0
    assert _against(found).clean.value > -0.1
    assert min(one.points for one in _changes(found)) < 100 * _against(found).clean.value  # some class more than all
