"""What a search refuses, at which field, before anything starts."""

import pytest

from kdcore.problems import RecipeError
from kdcore.search import smallest
from kdcore.search.request import parse
from kdcore.workspace.workspace import Workspace
from tests.search.conftest import document


def refused(**asked):
    with pytest.raises(RecipeError) as error:
        parse(document(**asked))
    return {problem.field: problem.message for problem in error.value.problems}


def test_a_size_and_a_tolerated_loss_are_enough():
    asked = parse({"recipe": {}, "at_most": {"size_bytes": 10_000}})
    assert asked.best == ("accuracy",)
    assert asked.limits == {"size_bytes": 10_000, "lost": 1.0}


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"at_most": {}}, "at_most"),
        ({"at_most": {"size_bytes": 0}}, "at_most.size_bytes"),
        ({"at_most": {"bytes": 5}}, "at_most.bytes"),
        ({"lose_at_most": -1}, "lose_at_most"),
        ({"lose_at_most": None, "best": "size"}, "lose_at_most"),
        ({"best": ["size", "size"]}, "search"),
        ({"best": "speed"}, "best.0"),
        ({"at_most": {"latency_ms": 2}}, "timing_seconds"),
        ({"trials": 0}, "trials"),
        ({"recipe": {"train": {"steps": 0}}}, "recipe.train.steps"),
        ({"halving": True, "best": ["accuracy", "size"]}, "halving"),
        ({"halving": True, "best": "size"}, "halving"),
        ({"recipe": {"sweep": {"train.steps": [1, 2]}}}, "recipe.sweep"),
        ({"recipe": {"distill": {"method": "simkd"}}}, "recipe.distill.method"),
    ],
)
def test_a_wrong_field_is_named(asked, field):
    assert field in refused(**asked)


@pytest.mark.slow
def test_a_size_below_the_smallest_of_all_candidates_is_refused_with_that_size(tmp_path):
    workspace = Workspace(tmp_path).ensure()
    with pytest.raises(RecipeError) as error:
        smallest.check(workspace, parse(document(at_most={"size_bytes": 1000})))
    [problem] = error.value.problems
    assert problem.field == "at_most.size_bytes"
    least = smallest.least(workspace, parse(document()))["size_bytes"]
    assert 1000 < least < 6000
    smallest.check(workspace, parse(document(at_most={"size_bytes": least})))
