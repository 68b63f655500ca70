"""Lesson 1."""

import pytest

from kdcore import lessons
from kdcore.report import format

LESSON = lessons.find("why-soft-targets")


def test_its_numbers_are_the_reports(small):
    verdict = small.verdict("student distilled", "student alone")
    answer = LESSON.measure(small)
    assert (answer.value, answer.low, answer.high) == (verdict.points, verdict.low, verdict.high)
    told = LESSON.explain(small)
    for row in small.rows[:4]:
        assert format.percent(row["accuracy"]) in told


@pytest.mark.slow
def test_soft_targets_beat_labels_and_hard_labels(taught):
    _, found, answer = taught("why-soft-targets")
    assert answer.low > 0
    assert found.verdict("student distilled", "student on hard labels").low > 0
