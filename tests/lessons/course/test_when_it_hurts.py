"""Lesson 4."""

import pytest


@pytest.mark.slow
def test_hot_targets_hurt_the_tiny_student_and_cool_ones_do_not(taught):
    _, _, answer = taught("when-it-hurts")
    cool, warm, hot = answer.value
    assert abs(cool) < 3
    assert max(answer.high[1:]) < 0
    assert hot < warm < cool
