"""Sensitivity of a finished model: on validation images alone, kept beside the model, and usable as a policy."""

from __future__ import annotations

import dataclasses
import json

import pytest

from kdcore.cli.main import main
from kdcore.compress.tools.sensitivity import STRENGTHS, policy
from kdcore.compress.tools.sensitivity import step as step_of
from kdcore.data.dataset import load
from kdcore.data.splits import split
from kdcore.execute import sensitivity as measuring
from kdcore.files import read_json
from kdcore.jobs import api
from kdcore.jobs.tasks import task
from kdcore.problems import RecipeError
from kdcore.workspace.index import Index
from kdcore.workspace.workspace import UnknownRun
from tests.small import small


@pytest.fixture(scope="module")
def run(laboratory):
    return laboratory.run('compress=[{"step": "int8"}]')


def test_it_is_kept_beside_the_model_and_carried_out_as_a_policy(laboratory, run):
    found = measuring.sensitivity(laboratory.workspace, run, "teacher", "prune", [0.5, 0.9])
    kept = read_json(laboratory.model(run) / "sensitivity-prune.json")
    assert {name: value for name, value in kept.items() if name != "schema"} | {"variant": "teacher"} == found
    recipe = small()
    assert found["images"] == len(split(load(recipe.data.source), recipe.data).validation)
    assert found["variant"] == "teacher"
    history = (laboratory.model(run) / "history.jsonl").read_text().splitlines()
    assert found["untouched"]["accuracy"] == pytest.approx(json.loads(history[-1])["val_accuracy"])
    assert step_of(found | {"kind": "quantize"}, {"policy": {}}) is None

    distilled = next(row.name for row in laboratory.plan(run).variants if row.stage == "distill")
    student = measuring.sensitivity(laboratory.workspace, run, distilled, "filters", [0.5])
    step = step_of(student, policy(student, 0.7))
    made = laboratory.run("compress=" + json.dumps([step | {"finetune": {"steps": 0}, "round_to": 4}]))
    report = read_json(laboratory.model(made, "pruned by layer") / "report.json")
    assert {row["name"] for row in report["step"] if row["removed"]} == set(step["policy"])


def test_no_test_image_is_looked_at(laboratory, run, monkeypatch):
    dataset = load(small().data.source)
    blind = dataclasses.replace(dataset, test_images=None, test_labels=None)
    monkeypatch.setattr(measuring, "load", lambda source: blind)
    found = measuring.sensitivity(laboratory.workspace, run, "teacher", "quantize", [4], images=50)
    assert found["images"] == 50


def test_the_same_question_is_answered_from_what_is_kept(laboratory, run, monkeypatch):
    first = measuring.sensitivity(laboratory.workspace, run, "teacher", "filters", [0.5], images=40)

    def never(*given):
        raise AssertionError("it was measured again")

    monkeypatch.setattr(measuring.measuring, "measure", never)
    assert measuring.sensitivity(laboratory.workspace, run, "teacher", "filters", [0.5], images=40) == first
    with pytest.raises(AssertionError, match="measured again"):
        measuring.sensitivity(laboratory.workspace, run, "teacher", "filters", [0.5], images=41)


def test_a_run_of_its_own_kind_measures_it_and_can_be_ended(laboratory, run):
    here = laboratory.workspace
    made = api.sensitivity(here, run, "student alone", "quantize")
    told = []
    task(here, here.run(made), lambda: told.append(None)).carry_out()
    kept = read_json(laboratory.model(run, "student alone") / "sensitivity-quantize.json")
    assert len(told) == len({row["layer"] for row in kept["rows"]})  # asked at each layer whether to end
    assert {row["strength"] for row in kept["rows"]} == set(STRENGTHS["quantize"])
    index = Index(here)
    index.sync()
    assert index.run(made).preset == "sensitivity"
    with pytest.raises(RecipeError, match="a measurement of layers; it has no recipe"):
        api.recipe(here, made)
    with pytest.raises(RecipeError, match="none of its own"):
        measuring.sensitivity(here, made, "teacher", "prune")


def test_what_the_queue_cannot_measure_never_gets_into_it(laboratory, run):
    before = laboratory.workspace.run_ids()
    with pytest.raises(RecipeError, match="has no network"):
        api.sensitivity(laboratory.workspace, run, "int8", "prune")
    assert laboratory.workspace.run_ids() == before


def test_what_cannot_be_measured_is_told_at_its_field(laboratory, run):
    with pytest.raises(RecipeError, match=r"variant: int8 of .* has no network"):
        measuring.sensitivity(laboratory.workspace, run, "int8", "prune")
    with pytest.raises(RecipeError, match='variant: "nobody" is not in'):
        measuring.sensitivity(laboratory.workspace, run, "nobody", "prune")
    with pytest.raises(UnknownRun):
        measuring.sensitivity(laboratory.workspace, "nothing", "teacher", "prune")


def test_the_command_prints_a_table_or_one_document(laboratory, run, monkeypatch, capsys):
    monkeypatch.setenv("KDCORE_HOME", str(laboratory.workspace.root))
    line = ["sensitivity", run, "teacher", "--step", "prune", "--strengths", "0.5", "0.9"]
    assert main([*line, "--budget", "0.5", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["mixed"]["share"] <= 0.5
    assert document["step"] == {"step": "prune_unstructured", "policy": document["mixed"]["policy"]}
    assert main([*line[:-1], "--budget", "0.7"]) == 0
    shown = capsys.readouterr().out
    assert "uncompressed: " in shown
    assert '"step": "prune_unstructured"' in shown
    assert main([*line, "--budget", "0.01"]) == 1
    assert "the strongest compression measured reaches 10." in capsys.readouterr().err
    assert main([*line[:-2], "7"]) == 1
    assert "shares between 0 and 1" in capsys.readouterr().err
    assert main([*line, "--budget", "3"]) == main([*line, "--images", "0"]) == 2
