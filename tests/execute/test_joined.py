"""A second process builds stages beside the worker: the same models, each reported once, with or without its help."""

import json
from collections import Counter

import pytest

from kdcore.execute import joined
from kdcore.execute.run import Execution
from kdcore.files import lock
from kdcore.jobs import api
from kdcore.jobs.heartbeat import Heartbeat
from kdcore.workspace.workspace import Workspace
from tests.execute.conftest import Laboratory
from tests.machines import two_cores

STAGES = "seeds=[0,1]"  # a teacher, two students alone, two distilled


def run(workspace, join=lambda workspace, folder: joined.Joined()):
    """Runs a Recipe as a worker does, with what `join` returns; returns its folder and what it says of its stages."""
    laboratory = Laboratory(workspace.ensure())
    run_id = laboratory.submit(STAGES)
    folder = workspace.run(run_id)
    with lock(folder / "lock"):
        Heartbeat(folder)
        beside = join(workspace, folder)
        recipe, plan = api.recipe(workspace, run_id), laboratory.plan(run_id)
        execution = Execution(workspace, folder, recipe, plan, lambda: None, beside)
        try:
            execution.carry_out()
        finally:
            beside.leave()
    return folder, execution


@pytest.fixture
def always(monkeypatch):
    """A second process joins however little there is to do, on whatever machine."""
    two_cores(monkeypatch)


def files(workspace):
    return {path.parent.name: path.read_bytes() for path in workspace.models.glob("*/model.onnx")}


@pytest.mark.slow
def test_with_a_second_process_the_models_are_the_same_and_each_stage_is_reported_once(always, tmp_path):
    shared, alone = Workspace(tmp_path / "shared"), Workspace(tmp_path / "alone")

    def patient(workspace, folder):
        beside = joined.join(workspace, folder)
        while not any(workspace.models.glob("*/lock")):  # it has begun the teacher before the worker looks
            assert beside._process.poll() is None
        return beside

    folder, execution = run(shared, patient)
    run(alone)
    assert files(shared) == files(alone)
    assert len(files(shared)) == 5
    assert [stage["reused"] for stage in execution.stages] == [False] * 5
    assert execution.joined.begun(), "the second process took no stage"
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    told = Counter((event["stage"], event["state"]) for event in events if event["type"] == "stage")
    assert {count for (_, state), count in told.items() if state in ("running", "done")} == {1}
    epochs = Counter((event["stage"], event["epoch"]) for event in events if event["type"] == "epoch")
    assert set(epochs.values()) == {1}


def test_the_run_goes_on_without_a_process_that_died(always, tmp_path):
    def dead(workspace, folder):
        beside = joined.join(workspace, folder)
        beside._process.kill()
        return beside

    _, execution = run(Workspace(tmp_path / "workspace"), dead)
    assert len(execution.stages) == 5
