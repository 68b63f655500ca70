import os
import time

import pytest

from kdcore.files import lock, write_json
from kdcore.workspace.gc import collect, usage
from kdcore.workspace.workspace import Workspace
from tests.damage.corpus import JSON_DAMAGES
from tests.damage.runs import plan


@pytest.fixture
def workspace(tmp_path):
    """Three models of 1,000 bytes: one that a run names, one that nobody names, one that is being trained."""
    made = Workspace(tmp_path).ensure()
    for letter in "abc":
        folder = made.model(letter * 64)
        folder.mkdir()
        (folder / "model.onnx").write_bytes(b"x" * 1000)
    made.new_run({"plan.json": plan("a" * 64)})
    return made


def names(workspace):
    return {folder.name[0] for folder in workspace.models.iterdir()}


def test_only_models_that_no_run_names_and_nobody_trains_are_removed(workspace):
    with lock(workspace.model("c" * 64) / "lock"):
        assert usage(workspace).unused_count == 1
        freed = collect(workspace)
    assert names(workspace) == {"a", "c"}
    assert (freed.models, freed.bytes) == (1, 1000)


def test_the_trash_is_emptied_and_its_models_go_with_it(workspace):
    workspace.discard(workspace.run_ids()[0])
    assert collect(workspace).trashed_runs == 1
    assert names(workspace) == set()
    assert usage(workspace).trash == 0


@pytest.mark.parametrize("damage", JSON_DAMAGES)
def test_no_model_is_removed_while_a_plan_cannot_be_read(workspace, damage):
    (broken,) = workspace.run_ids()
    workspace.discard(workspace.new_run({"plan.json": plan("c" * 64)}))
    JSON_DAMAGES[damage](workspace.run(broken) / "plan.json")
    assert usage(workspace).unknown == (broken,)
    freed = collect(workspace)
    assert (freed.models, freed.trashed_runs, freed.unknown) == (0, 1, (broken,))
    assert names(workspace) == {"a", "b", "c"}


def test_a_plan_that_is_wrong_elsewhere_still_names_its_models(workspace):
    document = plan("a" * 64)
    write_json(workspace.run(workspace.run_ids()[0]) / "plan.json", document | {"variants": "none"})
    assert usage(workspace).unknown == ()
    collect(workspace)
    assert names(workspace) == {"a"}


def aged(path, seconds):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"x" * 10)
    os.utime(path, times=(time.time() - seconds,) * 2)
    return path


def test_temporary_files_go_once_their_writer_is_gone(workspace):
    gone, here, run = 2**22 + 1, os.getpid(), workspace.runs / workspace.run_ids()[0]
    names = [(folder, f".thing.json.{process}-0a1b2c3d") for process in (gone, here)
             for folder in (workspace.root, run, workspace.model("a" * 64), workspace.cache / "onnx")]  # fmt: skip
    fresh = [aged(folder / name, 60) for folder, name in names]
    collect(workspace)
    assert all(path.exists() for path in fresh), "the writer may live on another host"
    old = [aged(path, 7200) for path in fresh]
    assert usage(workspace).left == 40, "ten bytes each"
    collect(workspace)
    assert usage(workspace).left == 0
    assert [path.exists() for path in old] == 4 * [False] + 4 * [True]
    for path in old[4:]:
        aged(path, 2 * 86400)
    kept = aged(run / ".hidden", 10 * 86400)
    collect(workspace)
    assert not any(path.exists() for path in old)
    assert kept.exists(), "not one of ours"


def test_a_draft_that_was_given_up_goes(workspace):
    young, old = (aged(workspace.drafts / f"{days}.json", days * 86400) for days in (29, 31))
    collect(workspace)
    assert young.exists()
    assert not old.exists()


def test_the_checkpoint_of_a_finished_model_goes_and_that_of_another_stays(workspace):
    for letter, done in (("a", True), ("c", False)):
        folder = workspace.model(letter * 64)
        aged(folder / "checkpoint" / "progress.json", 0)
        if done:
            write_json(folder / "done.json", {})
    with lock(workspace.model("c" * 64) / "lock"):
        collect(workspace)
        assert not (workspace.model("a" * 64) / "checkpoint").exists()
        assert (workspace.model("c" * 64) / "checkpoint").exists()


def test_what_is_no_run_is_left_alone_and_so_are_its_models(workspace, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    workspace.run(workspace.run_ids()[0]).rename(elsewhere / "run")
    (workspace.runs / "261127-120000-abcdef").symlink_to(elsewhere / "run")
    (workspace.models / ("d" * 64)).symlink_to(elsewhere)
    assert workspace.run_ids() == []
    collect(workspace)
    assert names(workspace) == {"a", "d"}
    assert (elsewhere / "run" / "plan.json").is_file()


def test_files_may_vanish_while_they_are_counted(workspace, monkeypatch):
    real = os.walk

    def walk(folder):
        yield from real(folder)
        yield str(folder), [], ["gone a moment ago"]

    monkeypatch.setattr(os, "walk", walk)
    assert usage(workspace).models == 3000
