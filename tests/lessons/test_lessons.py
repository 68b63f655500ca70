"""What every lesson must have."""

import re

import pytest
from latex2mathml.converter import convert

from kdcore import lessons
from kdcore.lessons.predictions import Choice, Curve, Matching, Number
from kdcore.plan.plan import plan

EVERY = pytest.mark.parametrize("lesson", lessons.lessons(), ids=lambda lesson: lesson.name)


def test_they_come_in_order():
    assert [lesson.order for lesson in lessons.lessons()] == list(range(1, 11))


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(lessons.UnknownLesson, match="why-soft-targets"):
        lessons.find("why")


@EVERY
def test_its_recipe_and_what_to_try_next_can_be_carried_out(lesson, workspace):
    assert plan(lesson.recipe, workspace).stages
    assert plan(lesson.next_recipe, workspace).stages
    assert lesson.next_recipe.document() != lesson.recipe.document()


@EVERY
def test_its_formula_can_be_drawn_without_a_network(lesson):
    assert "\\" not in convert(lesson.formula), "a command that nothing draws"


@EVERY
def test_its_prediction_can_be_given_and_its_sources_be_read(lesson):
    match lesson.prediction:
        case Number(low=low, high=high, step=step):
            assert (high - low) / step == pytest.approx(round((high - low) / step))
        case Curve(x=x, low=low, high=high):
            assert len(x) >= 3
            assert low < high
        case Choice(options=options) | Matching(options=options):
            assert len(options) >= 2
    assert lesson.sources
    assert all(re.match("https://", source.url) for source in lesson.sources)
