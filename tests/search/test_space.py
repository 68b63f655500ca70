"""The space comes from the registries, and every candidate of it is a Recipe that the plan accepts."""

import random

import pytest

from kdcore.compress.traits import StepTraits
from kdcore.plan.plan import plan
from kdcore.plan.rules import steps
from kdcore.search.request import parse
from kdcore.search.space import Space
from tests.search.conftest import document


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


def test_the_first_step_may_shrink_its_layers_differently():
    made = Space(parse(document()), train_steps=10, layers=lambda recipe: ["first", "middle", "last"])
    chosen = made.settings(at_random(3)) | {"with.low_rank": False, "with.prune_structured": True, "last": "int8"}
    chosen |= {"prune_structured.ratio": 0.5, "prune_structured.slope": 0.2}
    assert made.recipe(chosen).compress[0].policy == {"first": 0.3, "middle": 0.5, "last": 0.7}
    assert made.recipe(chosen | {"prune_structured.ratio": 0.8}).compress[0].policy["last"] == 0.85, (
        "its range ends there"
    )
    assert not made.recipe(chosen | {"prune_structured.slope": 0.01}).compress[0].policy
    assert all(knob.fixed.get("prune_structured.slope", 0) == 0 for knob in made.knobs()), "the control is uniform"
