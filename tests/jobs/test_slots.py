"""Several workers at a time: one in each slot, and who has a slot when runs wait for it."""

from __future__ import annotations

import pytest

from kdcore import machine
from kdcore.cli import main
from kdcore.execute import joined
from kdcore.files import held, read_json, write_json
from kdcore.jobs import api, dispatcher
from kdcore.workspace import settings, slots
from kdcore.workspace.events import read
from kdcore.workspace.workspace import Workspace
from tests.jobs.conftest import life, settle, until
from tests.jobs.test_runs import digests
from tests.small import small


def test_two_slots_hold_two_runs_at_once(workspace):
    settings.write(workspace, slots=2)
    ids = [api.submit(workspace, small("train.steps=3000", f"seeds=[{seed}]")) for seed in range(3)]
    api.ensure_dispatcher(workspace)
    until(lambda: all(held(workspace.run(run_id) / "lock") for run_id in ids[:2]))
    assert not held(workspace.run(ids[2]) / "lock")
    shown = until(lambda: (api.serving(workspace) or {}).get("slots"))
    assert [(slot["slot"], slot["run"], slot["helps"]) for slot in shown] == [(0, ids[0], False), (1, ids[1], False)]
    for run_id in (ids[2], ids[0]):
        api.request(workspace, run_id, "cancel")
    until(lambda: not held(workspace.run(ids[0]) / "lock"))
    assert held(workspace.run(ids[1]) / "lock")


def built_by_a_helper(workspace, run_id):
    """Whether a further worker has finished a stage of the run."""
    files = (workspace.run(run_id) / joined.FOLDER).glob("*.jsonl*")
    return any(event.get("state") == "done" for file in files for event in read(file).events)


@pytest.mark.slow
def test_two_workers_leave_the_models_of_one(workspace, tmp_path):
    settings.write(workspace, slots=2)
    run_id = api.submit(workspace, small("train.steps=400", "compress=[]"))
    api.ensure_dispatcher(workspace)
    until(lambda: built_by_a_helper(workspace, run_id), sign=life(workspace.run(run_id)))
    assert settle(workspace, run_id).state == "done"
    alone = Workspace(tmp_path / "alone").ensure()
    assert settle(alone, api.submit(alone, small("train.steps=400", "compress=[]"))).state == "done"
    api.stop_all(alone)
    assert digests(workspace) == digests(alone)
    assert len(digests(alone)) == 2 * 7  # safetensors and ONNX of the teacher and of three students of two seeds


@pytest.fixture
def started(monkeypatch):
    """What a dispatcher starts, without starting it: (command, run, its GPU); each lives until it is in `ended`."""
    monkeypatch.setattr(slots, "gpus", lambda: ("4", "7"))

    class Process:
        pid = 2**30  # of no process

        def __init__(self, *what):
            self.what = what

        def poll(self):
            return 0 if self.what in begun.ended else None

        def kill(self):
            begun.ended.append(self.what)

        def wait(self):
            return 0

    class Begun(list):
        ended: list = []

    begun = Begun()

    def start(workspace, command, run_id, environment):
        begun.append((command, run_id, environment["CUDA_VISIBLE_DEVICES"]))
        return Process(*begun[-1])

    monkeypatch.setattr("kdcore.jobs.launchers.local.start", start)
    monkeypatch.setattr(dispatcher, "state", lambda folder, *_: "queued")  # whatever lives
    monkeypatch.setattr(dispatcher.webhook, "tell", lambda *_: None)
    begun.ended = []
    return begun


def test_an_idle_slot_helps_a_run_and_makes_room_for_the_next(workspace, started):
    first = api.submit(workspace, small())
    serving = dispatcher._Dispatcher(workspace, None)
    serving._fill(serving._waiting())
    serving._fill(serving._waiting())
    assert started == [("worker", first, "4"), ("build", first, "7")]
    second = api.submit(workspace, small("seeds=[5]"))
    serving._fill(serving._waiting())
    assert started[2:] == [("worker", second, "7")]
    assert started.ended == [("build", first, "7")]
    assert [slot["helps"] for slot in read_json(workspace.root / "dispatcher.json")["slots"]] == [False, False]


def test_an_idle_slot_helps_a_search_while_candidates_are_left(workspace, started):
    run_id = api.submit(workspace, small())
    (workspace.run(run_id) / "recipe.json").write_text('{"schema": 1, "search": {}}')
    found = {"reference": {}, "spent": 0, "best": None, "words": "", "importances": {}}
    trials = [{"number": 0, "label": "a", "settings": {}, "state": "stopped"},
              {"number": 1, "label": "b", "settings": {}, "state": "beyond"}]  # fmt: skip
    serving = dispatcher._Dispatcher(workspace, None)
    for target in (0, 2, 3):  # not begun; as many left as are at work; one more
        write_json(workspace.run(run_id) / "search.json", {**found, "target": target, "trials": trials})
        assert [what[0] for what in started] == ["worker"][: len(started)]
        serving._fill(serving._waiting())
    assert started == [("worker", run_id, "4"), ("build", run_id, "7")]


def test_a_run_on_several_devices_waits_for_their_slots_and_is_not_overtaken(workspace, started):
    first, second, wide, last = (
        api.submit(workspace, small(f"train.devices={devices}", f"seeds=[{seed}]"))
        for seed, devices in enumerate((1, 1, 2, 1))
    )
    serving = dispatcher._Dispatcher(workspace, None)

    def begun(*ended):
        for what in ended:
            api.request(workspace, what[1], "cancel")
            started.ended.append(what)
        serving._look()
        serving._fill(serving._waiting())
        return [what[1:] for what in started]

    assert begun() == [(first, "4"), (second, "7")]
    assert begun(("worker", first, "4"))[2:] == [], "one free slot is not enough"
    assert begun(("worker", second, "7"))[2:] == [(wide, "4,7")]
    shown = read_json(workspace.root / "dispatcher.json")["slots"]
    assert [(slot["slot"], slot["run"]) for slot in shown] == [(0, wide), (1, wide)]
    assert begun(("worker", wide, "4,7"))[3:] == [(last, "4")]


def test_the_only_slot_has_all_gpus_also_where_the_dispatcher_was_asked_for_one(workspace, started):
    run_id = api.submit(workspace, small("train.devices=2"))
    serving = dispatcher._Dispatcher(workspace, 1)
    serving._fill(serving._waiting())
    assert started == [("worker", run_id, "4,7")]


def test_slots_are_taken_until_they_have_the_gpus_that_are_wanted(monkeypatch):
    monkeypatch.setattr(slots, "gpus", lambda: tuple("abcd"))
    assert slots.enough([0, 1, 2, 3], 4, 3) == (0, 1, 2)
    assert slots.enough([0, 1], 2, 4) == (0, 1)  # two GPUs each
    assert slots.enough([1], 2, 2) == (1,)
    assert slots.enough([0, 4, 5], 8, 2) == (0, 4, 5)  # 0 and 4 share a GPU
    assert slots.enough([0, 1], 4, 3) == ()
    assert slots.enough([0, 1, 2, 3], 4, 9) == (0, 1, 2, 3)  # the worker then says that they are too few
    monkeypatch.setattr(slots, "gpus", lambda: ())
    assert slots.enough([2, 3], 4, 8) == (2,)
    assert slots.enough([], 4, 1) == ()


def test_a_helper_that_fails_is_not_started_again(workspace, started, monkeypatch):
    run_id = api.submit(workspace, small())
    serving = dispatcher._Dispatcher(workspace, None)
    for _ in range(3):
        serving._fill(serving._waiting())
    assert [what[0] for what in started] == ["worker", "build"]
    monkeypatch.setattr(serving.working[1].job, "failed", lambda: True)
    started.ended.append(("build", run_id, "7"))
    serving._look()
    serving._fill(serving._waiting())
    assert len(started) == 2


def test_one_slot_for_each_gpu_unless_somebody_says_otherwise(workspace, monkeypatch):
    slots.gpus.cache_clear()
    monkeypatch.setattr(machine, "gpus", lambda: ("A", "B", "C"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, 5")
    assert slots.count(workspace) == 2
    assert slots.environment([3], 4) == {"CUDA_VISIBLE_DEVICES": "5"}
    assert slots.environment([0], 1) == {"CUDA_VISIBLE_DEVICES": "2,5"}
    settings.write(workspace, slots=5)
    assert slots.count(workspace) == 5
    (workspace.root / "settings.json").write_text("[]")
    assert slots.count(workspace) == 2
    slots.gpus.cache_clear()
    monkeypatch.setattr(machine, "gpus", lambda: ())
    assert (slots.count(workspace), slots.environment([0], 1)) == (1, {})
    slots.gpus.cache_clear()


@pytest.mark.parametrize("number", ["0", "65", "-1"])
def test_a_number_of_slots_that_cannot_be_is_refused(number, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("KDCORE_HOME", str(tmp_path))
    assert main.main(["dispatch", "--slots", number]) == 2
    assert "--slots" in capsys.readouterr().err


def test_what_builds_nothing_cannot_be_joined(workspace, monkeypatch, capsys):
    monkeypatch.setenv("KDCORE_HOME", str(workspace.root))
    run_id = api.submit(workspace, small())
    (workspace.run(run_id) / "recipe.json").write_text('{"schema": 1, "bench": ["x"], "seconds": 1.0}')
    assert main.main(["build", run_id]) == 2
    assert "no stages" in capsys.readouterr().err
