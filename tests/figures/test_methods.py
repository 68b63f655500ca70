"""Several methods against one baseline."""

from __future__ import annotations

import pytest

from kdcore.figures.methods import methods, methods_view
from kdcore.report.verdicts import Verdict


def verdict(variant, points, told, against="student alone"):
    low, high = points - 1, points + 2
    return Verdict(variant, against, points, low, high, 5, told, False, f"{variant} told", 0.01, "seeds")


FOUND = [
    verdict("student, DKD", 6.1, "BEATS"),
    verdict("student, attention", -18.0, "WORSE"),
    verdict("student distilled", 5.8, "BEATS"),
    verdict("student distilled", 0.2, "SAME", against="student on hard labels"),
]
ROLES = dict.fromkeys(("student, DKD", "student, attention", "student distilled"), "distilled")


def test_they_stand_in_the_order_of_their_points_and_against_one_baseline():
    view = methods_view(FOUND, ROLES, "student alone")
    assert [one.name for one in view.methods] == ["student, attention", "student distilled", "student, DKD"]
    assert view.title == (
        "2 of 3 significantly outperform the student alone; best: student, DKD, +6.1 points (+5.1 to +8.1)"
    )


def test_none_may_beat_it():
    assert methods_view(FOUND[1:2], ROLES, "student alone").title == (
        "None of 1 significantly outperforms the student alone; best: student, attention, −18.0 points (−19.0 to −16.0)"
    )
    assert methods_view([], ROLES, "student alone").title == "No verdicts"


def test_one_seed_is_not_judged():
    single = [FOUND[0]._replace(low=None, high=None, p=None, n=1, verdict="INCONCLUSIVE")]
    assert methods_view(single, ROLES, "student alone").title.startswith("Not judged: one seed")


def test_marks_carry_their_intervals():
    chart = methods(FOUND, ROLES, "student alone")
    (marks,) = chart.data
    assert marks.error_x.array == pytest.approx((2, 2, 2))
    assert marks.error_x.arrayminus == pytest.approx((1, 1, 1))
    assert "points" in chart.layout.xaxis.title.text
