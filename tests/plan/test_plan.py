import json

import pytest

from kdcore.plan.naming import describe
from kdcore.plan.plan import plan
from kdcore.presets import preset
from kdcore.recipe import RecipeError
from tests.small import small


def names(recipe):
    return [variant.name for variant in plan(recipe).variants]


def test_the_variants_come_in_the_order_of_the_table():
    expected = ["teacher", "student alone", "student on hard labels", "student distilled", "pruned 50 %", "int8"]
    made = plan(small())
    assert [variant.name for variant in made.variants] == expected
    assert [len(variant.keys) for variant in made.variants] == [1, 2, 2, 2, 1, 1]
    assert [variant.parent for variant in made.variants] == [None, None, None, None, "student distilled", "pruned 50 %"]
    assert made.stages[1].title == "student alone, seed 0"


def test_every_input_of_a_stage_comes_before_it():
    seen = set()
    for stage in plan(small("sweep={'distill.temperature':[1,4]}".replace("'", '"'))).stages:
        assert {stage.parent, stage.teacher} - {None} <= seen
        seen.add(stage.key)


def test_a_sweep_shares_what_does_not_depend_on_it_and_names_what_does():
    recipe = small('sweep={"distill.temperature":[1,4]}', "compress=[]")
    assert names(recipe) == [
        "teacher",
        "student alone",
        "student on hard labels",
        "student distilled (temperature 1)",
        "student distilled (temperature 4)",
    ]
    assert plan(recipe).variants[3].values == {"distill.temperature": 1}
    assert plan(recipe).variants[0].values == {}


def test_the_number_of_labels_is_varied_as_if_each_were_a_run_of_its_own():
    few = ("compress=[]", "controls=[]", "seeds=[0]")
    made = plan(small(*few, 'sweep={"data.labels":[20,50]}'))
    assert [one.name for one in made.variants] == [
        "teacher", "student alone (labels 20)", "student alone (labels 50)", "student distilled (labels 20)",
        "student distilled (labels 50)",
    ]  # fmt: skip
    assert made.dataset["labelled_of_points"] == [20, 50]
    for labels in (20, 50):
        alone = plan(small(*few, f"data.labels={labels}"))
        assert {one.keys for one in alone.variants} <= {one.keys for one in made.variants}
        assert "labelled_of_points" not in alone.dataset


def test_a_sweep_over_a_step_keeps_the_steps_own_names_and_parents():
    recipe = small('sweep={"compress.0.ratio":[0.25,0.5]}')
    made = {variant.name: variant.parent for variant in plan(recipe).variants}
    assert made["pruned 25 %"] == made["pruned 50 %"] == "student distilled"
    assert made["int8 (ratio 0.25)"] == "pruned 25 %"
    assert made["int8 (ratio 0.5)"] == "pruned 50 %"


def keys_of(recipe, variant):
    return next(v.keys for v in plan(recipe).variants if v.name == variant)


@pytest.mark.parametrize(
    ("change", "same", "other"),
    [
        ("distill.temperature=8", "student alone", "student distilled"),
        ("data.seed=3", "teacher", "student alone"),
        ("teacher.train.steps=61", "student alone", "student distilled"),
        ("compress.0.ratio=0.25", "student distilled", "int8"),
        ("data.validation=0.2", None, "teacher"),
    ],
)
def test_a_key_changes_with_what_the_model_depends_on_and_with_nothing_else(change, same, other):
    if change.startswith("compress"):
        other_new = next(v.keys for v in plan(small(change)).variants if v.role == "quantized")
        assert other_new != keys_of(small(), "int8")
    else:
        assert keys_of(small(change), other) != keys_of(small(), other)
    if same:
        assert keys_of(small(change), same) == keys_of(small(), same)


def test_the_name_and_the_timing_are_in_no_key():
    renamed = small("name=Other", "measure.timing_seconds=2")
    assert [stage.key for stage in plan(renamed).stages] == [stage.key for stage in plan(small()).stages]


@pytest.mark.parametrize("change", ["train.nesterov=false", "train.test_curve=true", "train.devices=2"])
def test_options_that_came_later_are_in_a_key_only_where_they_are_used(change):
    assert keys_of(small(change), "student alone") != keys_of(small(), "student alone")
    stage = plan(small()).stages[1]
    assert change.split("=")[0].split(".")[1] not in stage.spec["train"]


def test_an_option_of_a_step_that_came_later_is_in_a_key_only_where_it_is_used():
    usual, by_layer = ({"step": "low_rank"} | more for more in ({}, {"policy": {"stage1.conv": 0.25}}))
    plans = [plan(small(f"compress={json.dumps([step])}")) for step in (usual, by_layer)]
    first, second = (made.stages[-1] for made in plans)
    assert "policy" not in first.spec["step"]
    assert second.spec["step"]["policy"] == by_layer["policy"]
    assert first.key != second.key


def test_epochs_are_over_the_images_that_the_distilled_student_sees_and_every_arm_gets_their_steps():
    made = plan(small("train.epochs=2", "train.batch_size=64", "data.transfer=true"))
    steps = {stage.role: stage.spec["train"]["steps"] for stage in made.stages if stage.kind != "compress"}
    assert made.dataset["seen"] == made.dataset["train"] > made.dataset["labelled"] == 50
    assert steps["alone"] == steps["distilled"] == steps["hard_labels"] == -(-2 * made.dataset["seen"] // 64)


def test_chains_of_a_sweep_are_told_by_their_steps():
    chains = [[{"step": "prune_unstructured"}, {"step": "int8"}], [{"step": "low_rank"}, {"step": "int8"}], []]
    made = plan(small("compress=[]", f"sweep={json.dumps({'compress': chains})}")).variants
    names = [row.name for row in made if row.parent]
    assert names == [
        "80 % zeros", "low rank 50 %", "int8 (compress 80 % zeros > int8)", "int8 (compress low rank 50 % > int8)",
    ]  # fmt: skip
    parents = {row.name: row.parent for row in made}
    assert [parents[name] for name in names[2:]] == names[:2]
    alike = [[{"step": "qat", "finetune": {"steps": steps}}] for steps in (10, 20)]
    made = plan(small("compress=[]", f"sweep={json.dumps({'compress': alike})}")).variants
    assert [row.name for row in made if row.parent] == ["QAT W8A8 1", "QAT W8A8 2"]  # in words they are the same
    assert describe([]) == "none"
    assert describe([1, 2]) == "[1, 2]"


def test_nothing_may_follow_the_file_that_is_deployed():
    with pytest.raises(RecipeError) as caught:
        plan(small('compress=[{"step":"int8"},{"step":"prune_structured"}]'))
    assert caught.value.problems[0].field == "compress.1.step"
    assert "last" in caught.value.problems[0].message


@pytest.mark.parametrize(
    ("change", "field"), [("data.labels=5000", "data.labels"), ("data.hide_classes=[11]", "data.hide_classes")]
)
def test_what_the_data_cannot_give_is_told_at_its_field(change, field):
    with pytest.raises(RecipeError) as caught:
        plan(small(change))
    assert caught.value.problems[0].field == field


def test_a_step_that_names_its_value_tells_it_too():
    made = plan(preset("prune-until-it-breaks").recipe).variants
    ratios = preset("prune-until-it-breaks").recipe.sweep["compress.0.ratio"]
    assert [row.values for row in made if row.role == "pruned"] == [{"compress.0.ratio": ratio} for ratio in ratios]
    assert all(not row.values for row in made if row.role != "pruned")
