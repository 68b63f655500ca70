"""Methods, schemes, views and teachers that do not fit each other are refused at their fields."""

from pathlib import Path

import pytest

from kdcore.distill.source import ExternalTeacher
from kdcore.plan.rules.combinations import problems
from kdcore.recipe import parse

STILL = {"views": {"shift": 0, "mixup": 0}}
ANSWERS, TABLE = (ExternalTeacher("0" * 64, Path("theirs"), gives) for gives in ("answers", "table"))


def fields(given=None, **document):
    return [problem.field for problem in problems(parse(document), given)]


def test_what_fits_is_not_refused():
    assert fields() == fields(ANSWERS) == fields(TABLE, train=STILL) == []
    assert fields(distill="fitnets") == fields(distill="rkd", student={"model": "mlp"}) == []


@pytest.mark.parametrize("scheme", ["mutual", "joint", "several_teachers"])
def test_a_look_into_the_teacher_needs_one_teacher_that_is_there(scheme):
    assert fields(scheme=scheme, distill="fitnets") == ["distill.method"]
    assert fields(scheme=scheme, distill="kd", controls=["fitnets"]) == []  # controls have the first teacher


def test_a_teacher_of_answers_alone_cannot_be_looked_into_unless_the_student_never_sees_it():
    assert fields(ANSWERS, distill="fitnets", controls=["kd", "rkd"]) == ["distill.method", "controls.1.method"]
    assert fields(ANSWERS, scheme="born_again", distill="fitnets") == []


def test_answers_on_record_are_about_images_as_they_are():
    assert fields(TABLE, train={"views": {"shift": 1, "flip": True}}) == ["train.views.shift", "train.views.flip"]
    assert fields(TABLE, train=STILL, scheme="function_matching") == ["scheme.scheme"]
    assert fields(TABLE, train=STILL, scheme="born_again") == ["scheme.scheme"]


def test_feature_maps_need_networks_that_have_some():
    plain = {"model": "mlp"}
    assert fields(distill="attention", student=plain) == ["distill.method"]
    assert fields(distill="attention", teacher=plain) == ["distill.method"]
    assert fields(distill="attention", student=plain, teacher=plain) == ["distill.method"] * 2
