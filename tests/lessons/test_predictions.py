"""What is accepted as a prediction, and how it is scored."""

import pytest

from kdcore.lessons.predictions import Answer, BadPrediction, Choice, Curve, Matching, Number

POINTS = Number("Gain", "points", low=-10, high=30, step=0.5, close=1)
SIDE = Choice("Which one", {"a": "The first", "b": "The second"})
RECALL = Curve("Recall", "T = {}", "Temperature", (1, 4, 16), "%", low=0, high=100, step=5, close=10)


def test_a_number_is_right_within_the_interval_and_a_little_beside_it():
    answer = Answer(7.0, 6.0, 8.0)
    assert POINTS.score(8.0, answer).hit
    assert POINTS.score(5.0, answer).hit
    missed = POINTS.score(4.5, answer)
    assert (missed.hit, missed.words) == (False, "Your prediction is 2.5 points too low.")
    assert POINTS.score(30.0, answer).words == "Your prediction is 23.0 points too high."


def test_without_an_interval_the_number_itself_counts():
    assert POINTS.score(7.9, Answer(7.0)).hit
    assert not POINTS.score(8.1, Answer(7.0)).hit


def test_a_choice_is_right_or_not():
    assert SIDE.score("a", Answer("a")).hit
    assert not SIDE.score("b", Answer("a")).hit


def test_a_curve_is_right_on_average_and_says_where_it_is_furthest_off():
    answer = Answer((0.0, 20.0, 60.0))
    assert RECALL.score((10.0, 20.0, 50.0), answer).hit
    missed = RECALL.score((0.0, 60.0, 40.0), answer)
    assert not missed.hit
    assert missed.words == (
        "Your curve is 20.0 points from the measured one on average, and 40.0 points too high at T = 4."
    )


@pytest.mark.parametrize(
    ("asked", "value"),
    [
        (POINTS, 31), (POINTS, "5"), (POINTS, None), (POINTS, True), (POINTS, float("nan")),
        (SIDE, "c"), (SIDE, 1), (RECALL, (1, 2)), (RECALL, "abc"), (RECALL, (1, 2, 300)), (RECALL, [1, 2, None]),
    ],
)  # fmt: skip
def test_nothing_else_is_accepted(asked, value):
    with pytest.raises(BadPrediction):
        asked.accept(value)


def test_what_is_accepted_comes_back_in_one_shape():
    assert POINTS.accept(3) == 3.0
    assert RECALL.accept([0, 5, 10]) == (0.0, 5.0, 10.0)
    assert RECALL.words((0.0, 5.0, 10.0)) == "0.0 % at T = 1, 5.0 % at T = 4, 10.0 % at T = 16"


def test_most_cases_named_is_right():
    asked = Matching("Faults", ("A", "B", "C"), {"x": "One", "y": "Two"})
    answer = Answer(("x", "y", "x"))
    assert asked.score(asked.accept(["x", "y", "y"]), answer) == (True, "You named 2 of 3 correctly.")
    assert not asked.score(("y", "y", "y"), answer).hit
    for wrong in (("x", "y"), ("x", "y", "z"), "xyx", None, ("x", "y", 1)):
        with pytest.raises(BadPrediction):
            asked.accept(wrong)
