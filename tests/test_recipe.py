import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdcore.recipe import Recipe, RecipeError, override, parse, points


def problems(call):
    with pytest.raises(RecipeError) as caught:
        call()
    return {problem.field: problem.message for problem in caught.value.problems}


def test_the_default_recipe_survives_json():
    recipe = Recipe()
    assert parse(json.loads(recipe.to_json())) == recipe


def test_a_wrong_value_is_told_at_its_field_with_what_is_accepted():
    found = problems(lambda: parse({"distill": {"method": "kd", "temperature": -1}, "seeds": [1, 1]}))
    assert "-1 is not accepted" in found["distill.temperature"]
    assert "0.25" in found["distill.temperature"]


def test_an_unknown_field_and_an_unknown_entry_are_told():
    found = problems(lambda: parse({"colour": 1, "distill": {"method": "magic"}, "teacher": {"source": {}}}))
    assert found["teacher.source"] == "needs 'teacher': the name of a teacher"
    assert found["colour"] == "there is no such field"
    assert "kd" in found["distill"]


def test_seeds_must_differ():
    assert "differ" in problems(lambda: parse({"seeds": [1, 1]}))["recipe"]


def test_steps_and_epochs_exclude_each_other_and_set_replaces_the_other():
    assert "not both" in problems(lambda: parse({"train": {"steps": 3, "epochs": 2}}))["train"]
    document = override(Recipe().document(), ["train.epochs=2"])
    assert parse(document).train.epochs == 2
    assert parse(document).train.steps is None


def test_set_reads_json_and_plain_text_and_list_items():
    document = override(
        {"compress": [{"step": "int8"}]}, ["name=My run", "seeds=[4,5]", "compress.0.step=prune_structured"]
    )
    assert document == {"name": "My run", "seeds": [4, 5], "compress": [{"step": "prune_structured"}]}


def test_setting_another_method_drops_the_options_of_the_old_one():
    document = override(Recipe().document(), ["distill.method=hard_labels"])
    assert document["distill"] == {"method": "hard_labels"}


@pytest.mark.parametrize("assignment", ["temperature", "compress.7.ratio=1", "compress.x=1", "name.first=1"])
def test_a_path_that_leads_nowhere_is_refused(assignment):
    assert problems(lambda: override({"compress": [], "name": "x"}, [assignment]))


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_assignment_does_worse_than_a_recipe_error(path, value):
    with contextlib.suppress(RecipeError):
        parse(override(Recipe().document(), [f"{path}={value}"]))


def test_hidden_classes_may_be_written_as_numbers():
    assert parse({"data": {"hide_classes": [3]}}).data.hide_classes == ("3",)


def test_a_sweep_is_a_product_of_its_values():
    recipe = parse({"sweep": {"distill.temperature": [1, 4], "train.steps": [10, 20]}})
    found = [(p.values["distill.temperature"], p.recipe.train.steps) for p in points(recipe)]
    assert found == [(1, 10), (1, 20), (4, 10), (4, 20)]
    assert points(recipe)[0].recipe.sweep == {}


def test_a_sweep_with_a_bad_value_or_too_many_points_is_refused_before_it_runs():
    assert "sweep.distill.temperature" in problems(lambda: parse({"sweep": {"distill.temperature": [-1]}}))
    assert "combinations" in problems(lambda: parse({"sweep": {"train.steps": list(range(1, 40))}}))["sweep"]
    assert "sweep.data.validation" in problems(lambda: parse({"sweep": {"data.validation": [0.1, 0.2]}}))
    assert "sweep.data.labels" in problems(lambda: parse({"sweep": {"data.labels": [20, None]}}))


def test_a_loss_without_any_weight_is_refused():
    found = problems(lambda: parse({"distill": {"method": "kd", "hard_weight": 0, "soft_weight": 0}}))
    assert "must not both be 0" in found["distill"]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
fields = st.sampled_from([*Recipe.model_fields, "schema", "seeds.0", "²"])


@given(anything | st.dictionaries(fields, anything, max_size=4))
def test_no_document_does_worse_than_a_recipe_error(document):
    with contextlib.suppress(RecipeError):
        parse(document)
    with contextlib.suppress(RecipeError):
        parse(override(document, ["train.epochs=2"]))


@pytest.mark.parametrize("document", [5, False, None, [[]], "²", [["name", "x"]]])
def test_what_is_no_mapping_is_no_recipe(document):
    for call in (lambda: parse(document), lambda: override(document, ["name=x"])):
        assert "a recipe is a JSON object" in problems(call)["recipe"]


def deep(times=100_000):
    made = []
    for _ in range(times):
        made = [made]
    return made


@pytest.mark.parametrize(
    "document",
    [
        {"sweep": {"train.epochs": [deep()]}},
        {"distill": {"method": deep()}},
        {"train": {"learning_rate": 10**5000}},
        {"compress": [{"step": "int8"}], "sweep": {"compress.²": [1]}},
    ],
    ids=["sweep", "method", "number", "path"],
)
def test_nesting_and_numbers_without_end_are_told_at_their_field(document):
    (field,) = problems(lambda: parse(document))
    assert field.startswith(next(iter(document)))


@pytest.mark.parametrize(
    "assignment", ["seeds.²=1", f"seeds.{'9' * 5000}=1", f"data={'[' * 100_000}", "a" + ".a" * 99 + "=1"]
)
def test_a_hostile_assignment_is_refused_in_a_short_message(assignment):
    found = problems(lambda: parse(override(Recipe().document(), [assignment])))
    assert all(len(message) < 300 for message in found.values())
