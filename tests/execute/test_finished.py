"""A run that starts from a trained model: only that model and what compression makes of it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from kdcore.execute.material import Material
from kdcore.files import read_json
from kdcore.jobs import api
from kdcore.recipe import RecipeError, parse
from kdcore.report import comparison, verdicts
from tests.small import small

PRUNED = {"step": "prune_structured", "ratio": 0.5, "round_to": 2, "finetune": {"steps": 10}}
STEPS = "compress=" + json.dumps([PRUNED, {"step": "int8"}])


def found_in(run_id, variant="student distilled"):
    return "teacher.source=" + json.dumps({"teacher": "earlier", "model": run_id, "variant": variant})


def problems(laboratory, *assignments):
    with pytest.raises(RecipeError) as caught:
        laboratory.submit("start=model", *assignments)
    return {problem.field: problem.message for problem in caught.value.problems}


@pytest.fixture(scope="module")
def earlier(laboratory):
    return laboratory.run()


@pytest.fixture(scope="module")
def made(laboratory, earlier):
    return laboratory.run("start=model", found_in(earlier), STEPS, "seeds=[0,1,2]")


def test_nothing_is_trained_but_the_fine_tuning_of_a_step(laboratory, earlier, made):
    plan = laboratory.plan(made)
    assert [(one.name, one.role) for one in plan.variants] == [
        ("original model", "teacher"), ("pruned 50 %", "pruned"), ("int8", "quantized"),
    ]  # fmt: skip
    assert [stage.kind for stage in plan.stages] == ["given", "compress", "compress"]
    assert plan.variants[0].keys == (laboratory.key(earlier, "student distilled"),)
    assert plan.variants[1].parent == "original model"


def test_the_original_is_what_it_is_fine_tuned_by_and_compared_with(laboratory, made):
    stage = laboratory.plan(made).stages[1]
    assert stage.teacher == stage.parent == laboratory.key(made, "original model")
    original, pruned, int8 = comparison.rows(laboratory.workspace, [made])
    assert pruned["size_bytes"] < original["size_bytes"] / 2
    assert int8["parent"] == "pruned 50 %"
    answers = [np.load(laboratory.model(made, row["variant"]) / "logits.npz")["test"] for row in (original, pruned)]
    assert pruned["agreement"] == pytest.approx(np.mean(answers[0].argmax(1) == answers[1].argmax(1)))
    assert comparison.summary(laboratory.workspace, made)["smaller"] > 2


def test_a_step_is_judged_against_the_file_that_it_came_from(laboratory, made):
    judged = comparison.verdicts(laboratory.workspace, made)
    assert [(one.variant, one.against) for one in judged] == [
        ("pruned 50 %", "original model"),
        ("int8", "pruned 50 %"),
    ]


def test_its_verdicts_say_what_they_hold_for(laboratory, earlier, made):
    dataset, trained = laboratory.plan(made).dataset, laboratory.plan(earlier).dataset
    assert "this model" in verdicts.scope(dataset)
    assert "this teacher" in verdicts.scope(trained)
    assert "student" not in verdicts.shares(dataset)
    assert "the students on 50 labelled images" in verdicts.shares(trained)


def test_a_weights_file_can_be_compressed(laboratory, earlier):
    path = laboratory.model(earlier, "student distilled") / "model.safetensors"
    model = json.dumps(small().student.model.model_dump(mode="json"))
    source = json.dumps({"teacher": "weights_file", "path": str(path)})
    run_id = laboratory.run(
        "start=model", f"teacher.source={source}", f"teacher.model={model}", 'compress=[{"step": "half"}]'
    )
    original, half = comparison.rows(laboratory.workspace, [run_id])
    (before,) = [
        one for one in comparison.rows(laboratory.workspace, [earlier]) if one["variant"] == "student distilled"
    ]
    assert original["accuracy"] == before["accuracy"]
    assert half["size_bytes"] < 0.6 * original["size_bytes"]


def test_a_sweep_varies_what_is_done_to_it(laboratory, earlier):
    run_id = laboratory.submit(
        "start=model", found_in(earlier), 'compress=[{"step": "weight_quant"}]', 'sweep={"compress.0.bits": [4, 8]}'
    )
    assert [one.name for one in laboratory.plan(run_id).variants] == [
        "original model", "weights 4 bits", "weights 8 bits",
    ]  # fmt: skip


def test_by_default_it_learns_from_itself_and_no_labels_are_used(laboratory, earlier, monkeypatch):
    asked = {"teacher": "earlier", "model": earlier, "variant": "student distilled"}
    recipe = parse({
        "start": "model", "teacher": {"source": asked}, "compress": [PRUNED], "seeds": [0],
        "train": {"steps": 10, "views": {"shift": 1}}, "measure": {"timing_seconds": 0},
    })  # fmt: skip
    run_id = api.submit(laboratory.workspace, recipe)
    laboratory.carry_out(run_id)
    folder = laboratory.model(run_id, "pruned 50 %")
    before = load_file(folder / "model.safetensors")
    laboratory.workspace.set_aside(folder.name)
    told = Material.targets
    monkeypatch.setattr(Material, "targets", lambda *arguments: told(*arguments).roll(1, dims=1))
    laboratory.carry_out(run_id)
    after = load_file(folder / "model.safetensors")
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert read_json(folder / "report.json")["train"]["steps"] == 10


def test_what_cannot_be_compressed_is_refused_at_its_field(laboratory, earlier):
    assert "an earlier run, or a file" in problems(laboratory)["teacher.source"]
    assert "choose kd" in problems(laboratory, found_in(earlier), "distill.method=simkd")["distill.method"]
    int8 = laboratory.run("start=model", found_in(earlier), 'compress=[{"step": "int8"}]')
    message = problems(laboratory, found_in(int8, "int8"))["teacher.source"]
    assert "use what that was made from" in message
