import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdcore.files import read_json
from kdcore.workspace.index import Index
from kdcore.workspace.workspace import UnknownRun, Workspace


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", ".hidden", "no-such-run"])
def test_only_ids_of_runs_lead_to_runs(tmp_path, name):
    with pytest.raises(UnknownRun):
        Workspace(tmp_path).ensure().run(name)


@given(st.text(max_size=70))
def test_only_keys_lead_to_models(name):
    if len(name) == 64 and set(name) <= set("0123456789abcdef"):
        return
    with pytest.raises(ValueError, match="not a model key"):
        Workspace("/nowhere").model(name)


def test_a_run_appears_whole(tmp_path):
    workspace = Workspace(tmp_path)
    run_id = workspace.new_run({"meta.json": {"name": "x"}})
    assert read_json(workspace.run(run_id) / "meta.json") == {"schema": 1, "name": "x"}
    assert workspace.run_ids() == [run_id]
    workspace.discard(run_id)
    assert workspace.run_ids() == []


def test_a_discarded_run_comes_back_as_it_was_last(tmp_path):
    workspace = Workspace(tmp_path)
    run_id = workspace.new_run({"meta.json": {"name": "x"}})
    for name in ("model-0123456789ab-17", "index.sqlite-17", "a file-17", f"{run_id}-17"):
        (workspace.trash / name).mkdir(parents=True)
    workspace.discard(run_id)
    assert workspace.trashed() == [run_id]
    workspace.restore(run_id)
    assert read_json(workspace.run(run_id) / "meta.json")["name"] == "x"
    for name in (run_id, "../runs"):
        with pytest.raises(UnknownRun):
            workspace.restore(name)


def test_the_index_may_lie_on_another_disk(tmp_path, monkeypatch):
    monkeypatch.setenv("KDCORE_INDEX", str(tmp_path / "local"))
    one, other = Workspace(tmp_path / "one"), Workspace(tmp_path / "other")
    assert one.index != other.index
    index = Index(one)
    index.sync()
    assert one.index.parent == tmp_path / "local"
    assert one.index.is_file()
    assert not list(one.root.glob("index*"))
