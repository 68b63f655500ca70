"""The points of a sweep as parallel coordinates, and what each setting accounts for."""

from __future__ import annotations

import pytest

from kdcore.figures.settings import importance, importances, parallel, swept
from tests.figures.rows import row


def grid(score=lambda hot, long: 0.5 + 0.2 * hot + 0.1 * long):
    """A teacher, and students at three temperatures and two lengths of training."""
    yield row("teacher", "teacher", 0.99, 400)
    for hot in range(3):
        for long in range(2):
            values = {"distill.temperature": 4.0**hot, "distill.fault": ("none", "no_t2")[long]}
            yield row("student distilled", "distilled", score(hot, long), 10, values=values)


def test_each_point_is_a_line_through_its_settings_and_its_score():
    rows = swept(list(grid()))
    chart = parallel(rows)
    assert tuple(chart.layout.xaxis.ticktext) == ("temperature", "fault", "Test accuracy (%)")
    assert [line.y[0] for line in chart.data] == pytest.approx([0, 0, 0.5, 0.5, 1, 1]), "a log scale"
    assert [line.y[1] for line in chart.data] == [0, 1, 0, 1, 0, 1]
    assert {"1", "4", "16", "none", "no_t2", "50", "100"} == {tick.text for tick in chart.layout.annotations}
    assert chart.layout.title.text == "Best of 6: temperature 16.0, fault no_t2, test accuracy 100.0 %"
    assert [line.line.width for line in chart.data].index(3.5) == 5


def test_the_shares_are_those_of_an_analysis_of_variance():
    first, second = importances(swept(list(grid())))
    assert (first.setting, second.setting) == ("temperature", "fault")
    assert first.share == pytest.approx(0.2**2 * 2 / 3 / (0.2**2 * 2 / 3 + 0.1**2 / 4))
    assert first.share + second.share == pytest.approx(1)
    together = importances(swept(list(grid(lambda hot, long: 0.5 + 0.1 * (hot - 1) * (2 * long - 1)))))
    assert sum(one.share for one in together) == pytest.approx(0)
    assert importance([first, second]).data[0].x[-1] == pytest.approx(100 * first.share)


def test_where_there_is_too_little_it_says_so():
    rows = swept(list(grid()))
    assert "too few" in importances(rows[:5])
    assert "Only one setting" in importances([one | {"values": {"distill.temperature": 1}} for one in rows])
    assert importances(swept(list(grid(lambda *_: 0.5)))) == "All points have the same score."
    assert swept([row("teacher", "teacher", 0.9, 10)]) == []
