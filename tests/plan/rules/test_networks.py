from __future__ import annotations

import pytest

from kdcore import registry
from kdcore.plan.plan import plan
from kdcore.plan.rules import networks
from kdcore.problems import RecipeError
from kdcore.recipe import parse

SHUFFLED = [
    {"architecture": "shufflenetv1"},
    {"architecture": "shufflenetv2"},
    {"architecture": "torchvision", "name": "shufflenet_v2_x0_5"},
]


@pytest.mark.parametrize("model", SHUFFLED)
def test_structured_pruning_of_a_shufflenet_is_refused_before_any_work(model):
    steps = [{"step": "prune_unstructured"}, {"step": "prune_structured"}]
    with pytest.raises(RecipeError) as raised:
        plan(parse({"student": {"model": model}, "compress": steps}))
    (problem,) = raised.value.problems
    assert problem.field == "compress.1.step"
    assert "cannot follow a channel shuffle" in problem.message
    plan(parse({"student": {"model": model}, "compress": steps[:1]}))


@pytest.mark.parametrize("name", ["cnn", "resnet", "vgg", "mobilenetv2", "shufflenetv2"])
def test_tying_layers_with_batch_norms_is_refused_unless_they_are_split_before(name):
    student, steps = {"model": {"architecture": name}}, [{"step": "low_rank"}, {"step": "tie"}]
    with pytest.raises(RecipeError) as raised:
        plan(parse({"student": student, "compress": steps[1:]}))
    (problem,) = raised.value.problems
    assert problem.field == "compress.0.step"
    assert "use share or low_rank, or a student without batch norm" in problem.message
    plan(parse({"student": student, "compress": steps}))  # no batch norm follows the first half of a layer


def test_maxvit_is_refused_and_others_are_not():
    def refused(name):
        recipe = parse({"compress": [{"step": "prune_structured"}]})
        return list(
            networks.problems(recipe, registry.validate("architecture", {"architecture": "torchvision", "name": name}))
        )

    (problem,) = refused("maxvit_t")
    assert "too much memory" in problem.message
    assert refused("resnet18") == []
