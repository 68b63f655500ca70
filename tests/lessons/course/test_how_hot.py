"""Lesson 3."""

import pytest

from kdcore.lessons.course.how_hot import _row


@pytest.mark.slow
def test_without_t2_a_high_temperature_weakens_the_teacher(taught):
    _, found, answer = taught("how-hot")
    assert answer.high < 0
    at_one = found.between(_row(found, 1, "no_t2")["variant"], _row(found, 1, "none")["variant"])
    assert at_one.low <= 0 <= at_one.high
    gains = [
        found.between(_row(found, 16, way)["variant"], found.first("alone")["variant"]) for way in ("no_t2", "none")
    ]
    assert gains[0].points < gains[1].points
