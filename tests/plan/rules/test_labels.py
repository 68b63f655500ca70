"""Methods are refused where they were made for other labels than the data set has."""

import pytest

from kdcore.plan.plan import plan
from kdcore.problems import RecipeError
from kdcore.recipe import override, parse

SCENES = {
    "data": {"source": {"dataset": "digit_scenes", "scenes": 300, "test_scenes": 120, "size": 16}},
    "teacher": {"train": {"steps": 10}},
    "train": {"steps": 10},
    "seeds": [0],
}


def told(document):
    with pytest.raises(RecipeError) as caught:
        plan(parse(document))
    return {problem.field: problem.message for problem in caught.value.problems}


def test_methods_made_for_one_label_are_refused_at_their_fields():
    problems = told({**SCENES, "distill": {"method": "kd"}, "controls": [{"method": "dkd"}, {"method": "hard_labels"}]})
    assert set(problems) == {"distill.method", "controls.0.method"}
    assert problems["distill.method"].endswith("use sigmoid")
    assert "digit_scenes" in problems["distill.method"]


def test_so_are_combinations_that_hold_one_and_values_of_a_sweep():
    parts = [{"of": {"method": "sigmoid"}}, {"of": {"method": "dist"}}]
    assert "distill.method" in told({**SCENES, "distill": {"method": "combine", "parts": parts}})
    swept = {**SCENES, "distill": {"method": "sigmoid"}, "sweep": {"distill.method": ["sigmoid", "kd"]}}
    assert "distill.method" in told(swept)


def test_sigmoid_is_refused_where_images_have_one_label():
    problems = told({"distill": {"method": "sigmoid"}, "seeds": [0]})
    assert list(problems) == ["distill.method"]
    assert "sigmoid needs several labels per example" in problems["distill.method"]
    assert problems["distill.method"].endswith("use kd")


def test_what_fits_is_planned_and_the_plan_says_what_the_labels_are():
    parts = [{"of": {"method": "sigmoid"}}, {"of": {"method": "attention"}}]
    for method in ({"method": "sigmoid"}, {"method": "combine", "parts": parts}, {"method": "rkd"}):
        made = plan(parse({**SCENES, "distill": method, "controls": [{"method": "hard_labels"}]}))
        assert made.dataset["multilabel"]
    assert not plan(parse(override({"seeds": [0]}, []))).dataset["multilabel"]


def test_hidden_classes_are_refused():
    document = {**SCENES, "distill": {"method": "sigmoid"}, "data": {**SCENES["data"], "hide_classes": ["3"]}}
    assert "several labels" in told(document)["data.hide_classes"]
