"""A prediction beside what was measured."""

import pytest

from kdcore.figures.prediction import Curves, Line, curves, number_line


def test_both_values_stand_on_one_line_with_the_interval():
    chart = number_line(Line("Title", "Gain (points)", -10, 30, 5.0, 7.0, (6.0, 8.5)))
    predicted, measured = chart.data
    assert (predicted.x, measured.x) == ((5.0,), (7.0,))
    assert measured.error_x.array == pytest.approx((1.5,))
    assert measured.error_x.arrayminus == pytest.approx((1.0,))


def test_what_was_measured_beyond_the_slider_is_still_seen():
    low, high = number_line(Line("Title", "Gain", 0, 10, 5.0, 42.0)).layout.xaxis.range
    assert low < 0
    assert high > 42


def test_before_the_answer_may_be_seen_there_is_the_prediction_alone():
    asked = Curves("Title", "Temperature", "Recall (%)", 0, 100, (1, 4, 16), (0, 10, 20))
    assert len(curves(asked).data) == 1
    assert len(curves(asked._replace(measured=(0, 5, 50))).data) == 2
