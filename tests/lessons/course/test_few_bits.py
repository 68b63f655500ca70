"""Lesson 6."""

import pytest

from kdcore.lessons.course.few_bits import CAREFUL, ROUNDED, STUDENT, TRAINED, _row


@pytest.mark.slow
def test_eight_bits_are_free_two_are_not_and_training_wins_them_back(taught):
    _, found, answer = taught("few-bits")
    two, *_, eight = answer.value
    assert abs(100 * found.row(STUDENT)["accuracy"] - eight) < 2
    plain, careful, trained = (_row(found, chain)["variant"] for chain in (ROUNDED[2], CAREFUL, TRAINED))
    assert found.between(plain, STUDENT).high < 0
    assert found.between(trained, plain).low > 0
    assert found.row(careful)["accuracy"] > found.row(plain)["accuracy"]
    assert two < eight
