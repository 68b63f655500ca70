"""A run from submission to table: kills, cancels, resumes. Slow by nature: real processes, real training."""

from __future__ import annotations

import hashlib
import json
import signal
import time

import psutil
import pytest

from kdcore.files import held, read_json, write_json
from kdcore.jobs import api
from kdcore.report import comparison
from kdcore.workspace.events import read
from kdcore.workspace.index import Index
from kdcore.workspace.state import state
from kdcore.workspace.workspace import UnknownRun
from tests import patience
from tests.jobs.conftest import settle, until
from tests.small import small


def digests(workspace):
    return {
        f"{path.parent.name}/{path.name}": hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(workspace.models.rglob("model.*"))
    }


def epochs(workspace, run_id):
    events = read(workspace.run(run_id) / "events.jsonl").events
    return [(event["stage"], event["epoch"]) for event in events if event["type"] == "epoch"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What a run leaves when nobody disturbs it."""
    from kdcore.workspace.workspace import Workspace

    workspace = Workspace(tmp_path_factory.mktemp("undisturbed")).ensure()
    run_id = api.submit(workspace, small(), "quickstart")
    row = settle(workspace, run_id)
    assert row.state == "done", row.error
    yield workspace, run_id
    api.stop_all(workspace)


def test_a_run_leaves_its_table_and_its_models(undisturbed):
    workspace, run_id = undisturbed
    rows = comparison.rows(workspace, [run_id])
    assert [row["variant"] for row in rows][0::5] == ["teacher", "int8"]
    assert rows[-1]["size_bytes"] < rows[0]["size_bytes"]
    assert all(row["latency_ms"] > 0 for row in rows)
    assert len(digests(workspace)) == 2 * 9
    assert not list(workspace.models.rglob("checkpoint"))


def test_a_second_run_reuses_every_model_and_the_same_curves_are_told(undisturbed):
    workspace, run_id = undisturbed
    again = api.submit(workspace, small("measure.timing_seconds=0"))
    assert settle(workspace, again).state == "done"
    assert all(stage["reused"] for stage in read_json(workspace.run(again) / "result.json")["stages"])
    index = Index(workspace)
    assert index.curves(again) == index.curves(run_id)
    assert {stage.state for stage in index.stages(again)} == {"reused"}


def test_the_index_made_anew_tells_the_same(undisturbed):
    workspace, run_id = undisturbed
    index = Index(workspace)
    index.sync()
    before = index.runs(), index.stages(run_id), index.curves(run_id)
    workspace.index.unlink()
    for suffix in ("-wal", "-shm"):
        workspace.index.with_name(workspace.index.name + suffix).unlink(missing_ok=True)
    index.rebuild()
    assert (index.runs(), index.stages(run_id), index.curves(run_id)) == before
    workspace.index.write_bytes(b"not a database" * 100)
    index.sync()
    assert index.runs() == before[0]


def test_killed_worker_and_killed_dispatcher_leave_the_same_bits_and_no_epoch_twice(undisturbed, workspace):
    run_id = api.submit(workspace, small())
    api.ensure_dispatcher(workspace)
    folder = workspace.run(run_id)
    until(lambda: len(epochs(workspace, run_id)) >= 4)  # in the middle of the first students
    worker = read_json(folder / "status.json")["process"]
    psutil.Process(worker).send_signal(signal.SIGKILL)
    until(lambda: read_json(folder / "status.json")["attempt"] == 2 and held(folder / "lock"))
    psutil.Process(read_json(workspace.root / "dispatcher.json")["process"]).send_signal(signal.SIGKILL)
    until(lambda: not api.queue(workspace).dispatcher)
    row = settle(workspace, run_id)
    assert row.state == "done", row.error
    told = epochs(workspace, run_id)
    assert len(told) == len(set(told))
    reference, reference_id = undisturbed
    assert sorted(told) == sorted(epochs(reference, reference_id))
    assert digests(workspace) == digests(reference)


def test_a_cancel_is_heard_within_two_seconds_and_a_resume_goes_on(workspace):
    run_id = api.submit(workspace, small("train.steps=3000"))
    api.ensure_dispatcher(workspace)
    folder = workspace.run(run_id)
    until(lambda: any(stage.state == "done" for stage in synced(workspace).stages(run_id)))
    asked = time.monotonic()
    api.request(workspace, run_id, "cancel")
    until(lambda: not held(folder / "lock"))
    assert time.monotonic() - asked < patience.stretched(2.5)
    until(lambda: synced(workspace).run(run_id).state == "cancelled")
    assert not synced(workspace).run(run_id).kept
    done = [stage.key for stage in synced(workspace).stages(run_id) if stage.state == "done"]
    api.request(workspace, run_id, "run")
    api.ensure_dispatcher(workspace)
    until(lambda: held(folder / "lock"))
    until(lambda: [s.key for s in synced(workspace).stages(run_id) if s.state == "reused"] == done)
    api.request(workspace, run_id, "cancel")
    until(lambda: state(folder) == "cancelled")


def synced(workspace):
    index = Index(workspace)
    index.sync()
    return index


def test_a_cancel_is_heard_while_libraries_load(workspace):
    run_id = api.submit(workspace, small())
    api.ensure_dispatcher(workspace)
    folder = workspace.run(run_id)
    until(lambda: held(folder / "lock"))
    api.request(workspace, run_id, "cancel")
    asked = time.monotonic()
    until(lambda: not held(folder / "lock"))
    assert time.monotonic() - asked < patience.stretched(3)
    assert state(folder) == "cancelled"


def test_stop_keeps_and_measures_what_is_finished(workspace):
    run_id = api.submit(workspace, small("train.steps=3000"))
    api.ensure_dispatcher(workspace)
    until(lambda: any(stage.state == "done" for stage in synced(workspace).stages(run_id)))
    api.request(workspace, run_id, "stop")
    row = settle(workspace, run_id)
    assert (row.state, row.kept, row.condition) == ("cancelled", True, "stopped")
    rows = comparison.rows(workspace, [run_id])
    assert [row["variant"] for row in rows] == ["teacher"]
    assert rows[0]["latency_ms"] > 0


@pytest.mark.slow
def test_a_stage_that_cannot_be_done_fails_with_its_reason_and_keeps_the_rest(workspace):
    run_id = api.submit(
        workspace,
        small("train.learning_rate=10", "train.weight_decay=1", "train.optimizer=sgd", "train.schedule=constant"),
    )
    api.ensure_dispatcher(workspace)
    row = settle(workspace, run_id)
    assert row.state == "failed"
    assert "learning_rate" in row.error
    assert comparison.rows(workspace, [run_id])[0]["variant"] == "teacher"


def test_a_worker_that_always_dies_is_given_up_after_three_attempts(workspace):
    run_id = api.submit(workspace, small())
    api.ensure_dispatcher(workspace)
    folder = workspace.run(run_id)
    for attempt in (1, 2, 3):
        until(lambda attempt=attempt: read_json(folder / "status.json", {}).get("attempt") == attempt)
        psutil.Process(read_json(folder / "status.json")["process"]).send_signal(signal.SIGKILL)
    row = settle(workspace, run_id)
    assert row.state == "failed"
    assert "3 times" in row.error
    api.request(workspace, run_id, "run")
    assert state(folder) == "queued"


def test_runs_whose_files_make_no_sense_do_not_hold_up_the_queue(workspace):
    no_plan, no_recipe = api.submit(workspace, small()), api.submit(workspace, small())
    (workspace.run(no_plan) / "plan.json").write_text('{"schema": 1, "stages": [], "variants": []}')
    (workspace.run(no_recipe) / "recipe.json").write_text("{")
    api.ensure_dispatcher(workspace)
    until(lambda: not api.queue(workspace).runs)
    for run_id, file in ((no_plan, "plan.json"), (no_recipe, "recipe.json")):
        row = settle(workspace, run_id)
        assert (row.state, row.damaged) == ("damaged", file)


def test_a_dispatcher_whose_code_is_older_than_the_submitters_makes_room(workspace):
    api.ensure_dispatcher(workspace)
    served_by = workspace.root / "dispatcher.json"
    until(served_by.exists)
    first = read_json(served_by)["process"]
    run_id = api.submit(workspace, small())
    meta = workspace.run(run_id) / "meta.json"
    write_json(meta, read_json(meta) | {"code": 2**62})
    until(lambda: not psutil.pid_exists(first) or psutil.Process(first).status() == psutil.STATUS_ZOMBIE)
    assert state(workspace.run(run_id)) == "queued"


@pytest.mark.slow
def test_deleting_ends_the_worker_and_leaves_the_models(workspace):
    run_id = api.submit(workspace, small("train.steps=3000"))
    api.ensure_dispatcher(workspace)
    until(lambda: any(stage.state == "done" for stage in synced(workspace).stages(run_id)))
    api.delete(workspace, run_id)
    with pytest.raises(UnknownRun):
        workspace.run(run_id)
    assert len(list(workspace.trash.iterdir())) == 1
    assert list(workspace.models.rglob("done.json"))


@pytest.mark.slow
def test_two_runs_are_timed_together(undisturbed):
    workspace, run_id = undisturbed
    again = api.submit(workspace, small("measure.timing_seconds=0", "name=Again"))
    settle(workspace, again)
    bench = api.bench(workspace, [run_id, again], seconds=1)
    assert settle(workspace, bench).state == "done"
    session = read_json(workspace.run(bench) / "result.json")["session"]
    assert json.loads((workspace.sessions / f"{session}.json").read_text())["runs"] == [run_id, again]
    assert {row["session"] for row in comparison.rows(workspace, [run_id, again])} == {session}


def test_nobody_can_be_moved_before_the_run_at_work_and_the_queue_keeps_the_chosen_order(workspace):
    ids = [api.submit(workspace, small(f"name={name}")) for name in "abc"]
    api.reorder(workspace, ids[2], 0)
    assert api.queue(workspace).runs == [ids[2], ids[0], ids[1]]
    api.reorder(workspace, ids[2], 2)
    assert api.queue(workspace).runs == ids
    for run_id in ids:
        api.request(workspace, run_id, "cancel")
    assert api.queue(workspace).runs == []


def test_names_notes_and_tags_are_kept(workspace):
    run_id = api.submit(workspace, small())
    api.rename(workspace, run_id, "  For Tuesday ")
    api.annotate(workspace, run_id, notes="look at T", tags=["a", "a", " b "])
    row = synced(workspace).run(run_id)
    assert (row.name, row.tags) == ("For Tuesday", ("a", "b"))
    assert read_json(workspace.run(run_id) / "meta.json")["notes"] == "look at T"
