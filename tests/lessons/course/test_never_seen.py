"""Lesson 2."""

import pytest

from kdcore.lessons.course.never_seen import points


@pytest.mark.slow
def test_heat_teaches_the_hidden_digit_and_bias_correction_most_of_the_rest(taught):
    _, found, answer = taught("never-seen")
    assert answer.value[0] < 2
    assert answer.high[0] < 5
    assert answer.low[-1] > 20  # at the highest temperature
    assert answer.low[-1] > answer.high[0]
    hot = [one for one in points(found) if one.temperature >= 8]
    assert all(one.corrected > one.recall for one in hot)
