"""The space comes from the registries, and every candidate of it is a Recipe that the plan accepts."""

import random

import pytest

from kdcore.compress.traits import StepTraits
from kdcore.plan.plan import plan
from kdcore.plan.rules import steps
from kdcore.search.groups import groups
from kdcore.search.request import parse
from kdcore.search.space import Space
from tests.search.conftest import document
from tests.search.test_groups import sensitivity


def space(**asked):
    return Space(parse(document(**asked)), train_steps=10)


def at_random(seed):
    chance = random.Random(seed)

    def answer(name, searched):
        if searched.choices:
            return chance.choice(searched.choices)
        if isinstance(searched.low, int) and isinstance(searched.high, int):
            return chance.randrange(searched.low, searched.high + 1, int(searched.step or 1))
        return chance.uniform(searched.low, searched.high)

    return answer


def test_every_candidate_is_a_recipe_that_the_plan_accepts():
    made = space()
    chains = set()
    for seed in range(40):
        settings = made.settings(at_random(seed))
        recipe = made.recipe(settings)
        assert not list(steps.problems(recipe))
        assert [step.step for step in recipe.compress] == made.chain(settings)
        assert recipe.student.model.width == settings["student.width"]
        chains.add(tuple(made.chain(settings)))
    plan(recipe)
    assert len(chains) > 8


@pytest.mark.parametrize("coded", [False, True])
def test_steps_that_only_make_the_coded_file_smaller_are_searched_where_that_is_limited(coded):
    made = space(at_most={"coded_bytes": 9000} if coded else {"size_bytes": 9000})
    named = {*made.shrinking, *made.last}
    assert ("share" in named, "code" in named) == (coded, coded)
    assert all(not StepTraits.named(name).coded for name in named if not coded and name != "nothing")


def test_a_step_of_the_recipe_keeps_the_options_that_are_not_searched():
    step = '[{"step": "prune_structured", "ratio": 0.4, "scope": "global", "finetune": {"steps": 5}}]'
    made = Space(parse(document(f"compress={step}")), train_steps=10)
    own = made.as_asked()
    assert made.chain(own) == ["prune_structured"]
    [pruned] = made.recipe(own).compress
    assert (pruned.ratio, pruned.scope, pruned.finetune.steps) == (0.4, "global", 5)


def test_the_order_of_the_recipes_steps_is_one_of_the_space():
    steps = '[{"step": "prune_structured"}, {"step": "low_rank"}, {"step": "int8"}]'
    made = Space(parse(document(f"compress={steps}")), train_steps=10)
    assert made.chain(made.as_asked()) == ["prune_structured", "low_rank", "int8"]


def test_the_whole_recipe_has_the_seeds_and_controls_that_were_asked_for():
    made = space()
    own = made.as_asked()
    assert made.recipe(own).seeds == (0,)
    assert not made.recipe(own).controls
    whole = made.recipe(own, whole=True)
    assert whole.seeds == (0, 1)
    assert whole.controls == made.base.controls


def test_a_part_of_the_effort_is_a_part_of_the_steps():
    made = space()
    chosen = made.settings(at_random(3)) | {"with.low_rank": True, "last": "int8", "finetune.share": 1.0}
    whole, part = made.recipe(chosen), made.recipe(chosen, effort=0.3)
    assert (whole.train.steps, whole.compress[0].finetune.steps) == (10, 10)
    assert (part.train.steps, part.compress[0].finetune.steps) == (3, 3)


def test_a_search_from_a_model_varies_its_steps_alone():
    asked = document(recipe=document()["recipe"] | {"start": "model"})
    names = Space(parse(asked), train_steps=10).settings(at_random(1))
    assert not any(name.startswith(("student.", "distill.")) for name in names)


def test_groups_of_layers_may_be_shrunk_differently_by_any_step_of_a_chain():
    split = {0: ["stem", "a", "b", "head"], 1: ["stem.0", "stem.1", "a", "b", "head"]}  # low_rank splits a layer
    found = {"weight_quant": groups(sensitivity(stem=1, a=3, b=2, head=1))}
    made = Space(parse(document()), 10, lambda recipe: split[len(recipe.compress)], found)
    asked = dict(zip(("first", "sensitive", "robust", "last"), (8, 6, 3, 4), strict=True))
    chosen = made.apart("weight_quant", asked, "weight_quant")
    [step] = made.recipe(chosen).compress
    assert step.policy == {"stem": 8, "a": 6, "b": 3, "head": 4}
    assert made.label(chosen).endswith("by layer")
    after = made.recipe(chosen | {"with.low_rank": True, "low_rank.share": 0.5}).compress[1]
    assert after.policy == {"stem.0": 8, "stem.1": 8, "a": 6, "b": 3, "head": 4}
    assert not made.recipe(chosen | {"weight_quant.layers": "alike"}).compress[0].policy
    assert all(knob.fixed.get("weight_quant.layers") != "by sensitivity" for knob in made.knobs()), (
        "the control is uniform"
    )


def test_only_steps_whose_layers_may_differ_are_asked_about_groups():
    made = Space(parse(document()), 10, groups={"prune_structured": groups(sensitivity(a=1, b=2, c=3))})
    names = {name for seed in range(30) for name in made.settings(at_random(seed))}
    assert {"prune_structured.ratio.first", "prune_structured.ratio.middle", "prune_structured.ratio"} <= names
    assert not any(name.startswith(("low_rank.share.", "weight_quant.layers")) for name in names)
