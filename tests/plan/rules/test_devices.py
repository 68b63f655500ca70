"""Trainings on more devices than there are, or than a batch can be divided among, are refused at their field."""

from __future__ import annotations

import json

import pytest

from kdcore import machine
from kdcore.plan.plan import plan
from kdcore.plan.rules import devices
from kdcore.problems import RecipeError
from kdcore.recipe import override, parse
from kdcore.search import request
from kdcore.workspace import settings, slots
from kdcore.workspace.workspace import Workspace
from tests.small import small


def refused(recipe, workspace):
    with pytest.raises(RecipeError) as error:
        plan(recipe, workspace)
    (problem,) = error.value.problems
    return problem


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path).ensure()


@pytest.mark.parametrize(("gpus", "cores", "words"), [(("0", "1"), 64, "2 GPUs"), ((), 2, "2 cores")])
def test_more_devices_than_there_are(workspace, monkeypatch, gpus, cores, words):
    monkeypatch.setattr(slots, "gpus", lambda: gpus)
    monkeypatch.setattr(machine, "cores", lambda: cores)
    problem = refused(small("teacher.train.devices=3"), workspace)
    assert (problem.field, problem.changes) == ("teacher.train.devices", (("teacher.train.devices", 2),))
    assert words in problem.message
    found = plan(small("train.devices=2"), workspace).stages
    assert {stage.kind: stage.devices for stage in found} == {"train": 2, "distill": 2, "compress": 1}
    assert found[0].devices == 1, "the teacher has a number of its own"


def test_a_job_of_a_cluster_gets_as_many_gpus_as_are_needed_where_it_has_any(workspace):
    settings.write(workspace, launcher={"launcher": "slurm", "gpus": 1})
    assert max(stage.devices for stage in plan(small("train.devices=16"), workspace).stages) == 16
    settings.write(workspace, launcher={"launcher": "slurm", "cpus": 4})
    assert "4 cores of a job" in refused(small("train.devices=16"), workspace).message


def test_a_batch_that_cannot_be_divided(workspace, monkeypatch):
    monkeypatch.setattr(machine, "cores", lambda: 64)
    problem = refused(small("train.devices=8", "train.batch_size=6"), workspace)
    assert problem.changes == (("train.devices", 6),)


def test_a_run_that_only_fine_tunes_and_a_search_use_one_device():
    finished = parse({"start": "model", "train": {"devices": 2}})
    assert [problem.field for problem in devices.problems(finished, None, None)] == ["train.devices"]
    document = {"recipe": json.loads(small("train.devices=2").to_json()), "at_most": {"size_bytes": 10_000}}
    with pytest.raises(RecipeError) as error:
        request.parse(document)
    assert [problem.field for problem in error.value.problems] == ["recipe.train.devices"]
    request.parse({**document, "recipe": override(document["recipe"], ["train.devices=1"])})
