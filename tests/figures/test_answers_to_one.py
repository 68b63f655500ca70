"""The charts of the page Try it."""

from __future__ import annotations

import numpy as np

from kdcore.figures.answers import BARS, Answered, answers_view, falls
from kdcore.tryout.answers import Answer, Fall


def says(name, picked, shares):
    return Answered(name, "distilled", Answer(np.array(shares), picked))


def test_the_title_says_who_answers_what():
    same = [says("a", (0,), [0.9, 0.1]), says("b", (0,), [0.6, 0.4])]
    assert answers_view(same, ["cat", "dog"]).title == "All 2 variants answer cat"
    apart = [*same, says("c", (1,), [0.2, 0.8])]
    assert answers_view(apart, ["cat", "dog"]).title == "a and b answer cat; c answers dog"
    assert answers_view(same[:1], ["cat", "dog"]).title == "a answers cat"


def test_of_many_classes_the_likeliest_in_any_answer_are_drawn():
    first, second = np.full(50, 0.001), np.full(50, 0.002)
    first[7], second[41] = 0.9, 0.9
    view = answers_view([says("a", (7,), first), says("b", (41,), second)], [str(k) for k in range(50)])
    assert len(view.classes) == BARS
    assert {"7", "41"} <= set(view.classes)
    assert view.shares[0][view.classes.index("7")] == 90


def title(**breaks):
    found = {name: Fall((1.0, 0.5, 0.1), at) for name, at in breaks.items()}
    roles = dict.fromkeys(found, "pruned")
    return falls(
        found, roles, (0, 10, 20), answer="cat", disturbance="Noise (% of white)", unit=" %", now=0
    ).layout.title.text


def test_the_title_names_the_first_to_break():
    assert title(a=10, b=20, c=None) == "a breaks first, at 10 % noise"
    assert title(a=10, b=10, c=20) == "a and b break first, at 10 % noise"
    assert title(a=None) == "No variant changes its answer with noise"
    assert title(a=0, b=20) == "Without noise a already disagrees"
