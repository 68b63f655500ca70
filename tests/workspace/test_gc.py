import pytest

from kdcore.files import Damaged, lock, write_json
from kdcore.workspace.gc import collect, usage
from kdcore.workspace.workspace import Workspace


@pytest.fixture
def workspace(tmp_path):
    """Three models of 1,000 bytes: one that a run names, one that nobody names, one that is being trained."""
    made = Workspace(tmp_path).ensure()
    for letter in "abc":
        folder = made.model(letter * 64)
        folder.mkdir()
        (folder / "model.onnx").write_bytes(b"x" * 1000)
    made.new_run({"plan.json": {"stages": [{"key": "a" * 64}]}, "meta.json": {}})
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


def test_nothing_is_removed_while_a_plan_cannot_be_read(workspace):
    (workspace.run(workspace.run_ids()[0]) / "plan.json").write_text("{")
    with pytest.raises(Damaged):
        collect(workspace)
    assert names(workspace) == {"a", "b", "c"}


def test_a_plan_of_another_version_is_not_guessed_at(workspace):
    write_json(workspace.run(workspace.run_ids()[0]) / "plan.json", {"schema": 9})
    with pytest.raises(Damaged):
        collect(workspace)
