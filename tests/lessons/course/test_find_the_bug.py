"""Lesson 10."""

import pytest

from kdcore.lessons.course.find_the_bug import RIGHT, _against_right, _first_loss, _row


@pytest.mark.slow
def test_each_fault_has_the_symptom_by_which_it_is_named(taught):
    _, found, _ = taught("find-the-bug")
    alone = found.history("student alone")[0]["loss"]
    whole, hard = _first_loss(found, RIGHT), 0.1 * alone
    assert _first_loss(found, "unused") == pytest.approx(hard, rel=0.02)
    assert _first_loss(found, "no_t2") == pytest.approx(hard + (whole - hard) / 16, rel=0.05)
    assert _first_loss(found, "mean") == pytest.approx(hard + (whole - hard) / 10, rel=0.05)
    assert whole > 1.02 * _first_loss(found, "swapped") > 0.5 * whole
    assert _first_loss(found, "train_mode") > 1.1 * whole
    unused = _against_right(found, "unused")
    assert unused.high < 0
    as_alone = found.between(_row(found, "unused")["variant"], "student alone")
    assert as_alone.low <= 0 <= as_alone.high
