"""Steps one after another: every ordered pair is refused with its reason, or its outcome is sound."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kdcore import registry
from kdcore.compress.step import StepInput
from kdcore.compress.traits import StepTraits
from kdcore.export import runtime
from kdcore.export.onnx_file import export
from kdcore.paths import home
from kdcore.plan.plan import plan
from kdcore.plan.rules import steps
from kdcore.problems import RecipeError
from kdcore.recipe import parse
from tests.families import step_names

STEPS = step_names()
FINAL = {name for name in STEPS if StepTraits.named(name).final}
UNDONE = {
    *(("share", name) for name in STEPS if name != "code"),
    ("prune_unstructured", "low_rank"), ("prune_unstructured", "tie"), ("low_rank", "low_rank"),
    *(("tie", name) for name in ("tie", "low_rank", "adaround", "qat", "joint")),
}  # fmt: skip
ACCEPTED = sorted(set(itertools.product(set(STEPS) - FINAL, STEPS)) - UNDONE)
LONG = {
    ("tie", "weight_quant"), ("tie", "code"), ("prune_structured", "tie"), ("low_rank", "tie"), ("low_rank", "code"),
    ("low_rank", "adaround"),
}  # fmt: skip
BRIEF = {
    "adaround": {"images": 16, "iterations": 3},
    "int8": {"images": 16},
    "prune_structured": {"round_to": 2},
    "joint": {"finetune": {"steps": 1}},  # it prunes at its end what no training pruned
}


@pytest.mark.parametrize("first", STEPS)
def test_every_pair_is_planned_or_refused_with_a_reason_that_names_both(first):
    for second in STEPS:
        recipe = parse({"student": {"model": "mlp"}, "compress": [{"step": first}, {"step": second}], "seeds": [0]})
        if (first, second) in ACCEPTED:
            rows = plan(recipe).variants
            assert [row.stage for row in rows[-2:]] == [StepTraits.named(name).stage for name in (first, second)]
            assert rows[-1].parent == rows[-2].name
            continue
        with pytest.raises(RecipeError) as raised:
            plan(recipe)
        (problem,) = raised.value.problems
        assert problem.field == "compress.1.step"
        start = f"{second} cannot follow {first}"
        assert problem.message.startswith(start)
        assert len(problem.message.removeprefix(start)) > 30  # the reason


@settings(max_examples=60)
@given(st.lists(st.sampled_from(STEPS), min_size=1, max_size=5))
def test_a_chain_is_accepted_where_each_step_bears_all_before_it(names):
    recipe = parse({"compress": [{"step": name} for name in names]})
    bad = [at for at, name in enumerate(names) if any((one, name) not in ACCEPTED for one in names[:at])]
    assert [problem.field for problem in steps.problems(recipe)] == [f"compress.{at}.step" for at in bad]


def test_each_point_of_a_sweep_is_checked():
    chains = [[{"step": "prune_unstructured"}], [{"step": "int8"}, {"step": "share"}]]
    with pytest.raises(RecipeError, match="share cannot follow int8"):
        plan(parse({"sweep": {"compress": chains}}))


@pytest.fixture(scope="module")
def begun(trained, images, targets, tmp_path_factory):
    """What the first steps of pairs leave, each carried out and exported once."""
    known = {}

    def made(name, architecture):
        if (name, architecture) not in known:
            folder = tmp_path_factory.mktemp(name)
            network = trained("mlp", widths=(24, 24, 24)) if architecture == "mlp" else trained(width=8)
            material = StepInput(network, folder / "none.onnx", images[:256], (1, 8, 8), folder, 0, targets[:256])
            outcome = carried_out(material, name)
            path = outcome.onnx or folder / "first.onnx"
            if not outcome.onnx:
                export(outcome.network, (1, 8, 8), path, images=images[:32].numpy(), cache=home() / "cache" / "onnx")
            known[name, architecture] = material._replace(network=outcome.network.eval(), onnx=path)
        return known[name, architecture]

    return made


def carried_out(material, name):
    """The step's outcome without any training."""
    options = {"step": name, **BRIEF.get(name, {})}
    if "finetune" in registry.entry("step", name).options.model_fields and name != "joint":
        options["finetune"] = {"steps": 0}
    chosen = registry.validate("step", options)
    outcome = registry.entry_of("step", chosen).implementation(material, chosen)
    return outcome.finish(outcome.network.eval()) if outcome.finish else outcome


@pytest.mark.parametrize(
    ("first", "second"),
    [pytest.param(*pair, marks=[pytest.mark.slow] if pair in LONG else []) for pair in ACCEPTED],
)
def test_an_accepted_pair_makes_a_sound_network(begun, images, tmp_path, first, second):
    material = begun(first, "mlp" if "tie" in (first, second) else "cnn")
    zeros = sum(int((value == 0).sum()) for value in material.network.parameters())
    outcome = carried_out(material._replace(network=copy.deepcopy(material.network), folder=tmp_path), second)
    with torch.no_grad():
        logits = outcome.network(images[:64])
    assert logits.isfinite().all()
    assert logits.std() > 0
    assert all(value.isfinite().all() for value in outcome.network.state_dict().values())
    if first == "prune_unstructured" and second != "prune_structured":
        assert sum(int((value == 0).sum()) for value in outcome.network.parameters()) >= zeros
    if outcome.onnx:
        said = torch.from_numpy(runtime.logits(outcome.onnx, images[:64].numpy()))
        assert said.isfinite().all()
        assert (said.argmax(1) == logits.argmax(1)).float().mean() > 0.7
