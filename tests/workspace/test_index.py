"""What the index tells between two syncs, and of runs whose files are damaged. Whole runs are in tests/jobs."""

from __future__ import annotations

import logging
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from kdcore.files import read_json, write_json
from kdcore.workspace.events import EventLog
from kdcore.workspace.index import Index
from kdcore.workspace.workspace import Workspace
from tests.damage.corpus import EVENT_DAMAGES, INDEX_DAMAGES, JSON_DAMAGES
from tests.damage.runs import FILES, KEY, end, new_run

# A run may lack a status or a result, and only its plan names keys.
HARMLESS = {(file, "gone") for file in ("status.json", "result.json")}
HARMLESS |= {(file, "paths as keys") for file in FILES if file != "plan.json"}


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "workspace").ensure()


def known(workspace):
    index = Index(workspace)
    index.sync()
    return {row.id: row for row in index.runs()}


def test_a_result_is_told_whole_or_not_at_all(workspace):
    run_id = new_run(workspace)
    (workspace.run(run_id) / "result.json").unlink()
    index = Index(workspace)
    index.sync()
    end(workspace, run_id, state="failed", error="out of paper")
    assert index.run(run_id).state not in ("failed", "done")
    index.sync()
    assert (index.run(run_id).state, index.run(run_id).error) == ("failed", "out of paper")


def test_several_may_bring_the_index_up_to_date_at_once(workspace):
    made = {new_run(workspace) for _ in range(20)}
    Index(workspace).runs()  # the tables are there
    with ThreadPoolExecutor(4) as pool:
        for syncing in [pool.submit(Index(workspace).sync) for _ in range(4)]:
            syncing.result()
    assert {row.id for row in Index(workspace).runs()} == made


def test_one_run_is_brought_up_to_date_without_the_others(workspace):
    first, second = new_run(workspace), new_run(workspace)
    names = {first: known(workspace)[first].name, second: "renamed"}
    index = Index(workspace)
    for run_id in (first, second):
        path = workspace.run(run_id) / "meta.json"
        write_json(path, read_json(path) | {"name": "renamed"})
    index.sync(second)
    assert {row.id: row.name for row in index.runs()} == names
    workspace.discard(second)
    workspace.discard(first)
    index.sync(second)
    index.sync("../" + first)
    assert [row.id for row in index.runs()] == [first]


@pytest.mark.parametrize("before", [True, False], ids=["known before", "new"])
@pytest.mark.parametrize("file", FILES)
def test_a_damaged_run_is_listed_as_such_and_hides_no_other(workspace, file, before):
    whole = {new_run(workspace) for _ in range(2)}
    broken = {new_run(workspace): damage for damage in JSON_DAMAGES if (file, damage) not in HARMLESS}
    if before:
        known(workspace)
    for run_id, damage in broken.items():
        JSON_DAMAGES[damage](workspace.run(run_id) / file)
    rows = known(workspace)
    assert {run_id for run_id, row in rows.items() if row.state == "done"} >= whole
    told = {damage: rows[run_id].damaged for run_id, damage in broken.items()}
    assert told == dict.fromkeys(told, file)
    assert all(rows[run_id].error for run_id in broken)


@pytest.mark.parametrize("damage", EVENT_DAMAGES)
def test_events_that_make_no_sense_hide_nothing(workspace, damage):
    whole, broken = new_run(workspace), new_run(workspace)
    EVENT_DAMAGES[damage](workspace.run(broken) / "events.jsonl")
    index = Index(workspace)
    index.sync()
    states = {row.id: row.state for row in index.runs()}
    assert states == {whole: "done", broken: "damaged" if damage == "a folder" else "done"}
    assert len(index.stages(whole)) == 1
    index.stages(broken)


def test_a_run_with_lines_that_make_no_sense_says_so(workspace):
    run_id = new_run(workspace)
    log = EventLog(workspace.run(run_id) / "events.jsonl")
    log("stage", stage=KEY, state="gone fishing")
    row = known(workspace)[run_id]
    assert row.state == "done"
    assert row.note.startswith("1 line of its events.jsonl")


def test_a_damaged_run_is_whole_again_once_its_file_is(workspace):
    run_id = new_run(workspace)
    path = workspace.run(run_id) / "plan.json"
    content = path.read_bytes()
    path.write_text("{")
    assert known(workspace)[run_id].state == "damaged"
    path.write_bytes(content)
    assert known(workspace)[run_id].state == "done"
    assert [stage.state for stage in Index(workspace).stages(run_id)] == ["done"]


def test_what_is_no_run_is_not_listed(workspace, tmp_path):
    run_id = new_run(workspace)
    (tmp_path / "elsewhere").mkdir()
    (workspace.runs / "261127-120000-abcdef").symlink_to(tmp_path / "elsewhere")
    (workspace.runs / "My \x1b[31m run").mkdir()
    (workspace.runs / "261127-120000-fedcba").write_text("a file")
    assert set(known(workspace)) == {run_id}
    assert len(workspace.unknown_entries()) == 3


@pytest.mark.parametrize("first", ["sync", "runs", "stages", "curves", "pace", "run"])
@pytest.mark.parametrize("damage", INDEX_DAMAGES)
def test_a_damaged_index_mends_itself_whatever_is_asked_first(workspace, damage, first):
    run_id = new_run(workspace)
    before = known(workspace)
    INDEX_DAMAGES[damage](workspace.index)
    index = Index(workspace)
    getattr(index, first)(*([run_id] if first in ("run", "stages", "curves") else []))
    assert {row.id: row for row in index.runs()} == before
    assert len(index.stages(run_id)) == 1


def test_a_damaged_index_is_told_once(workspace, caplog):
    new_run(workspace)
    known(workspace)
    INDEX_DAMAGES["random pages"](workspace.index)
    with caplog.at_level(logging.WARNING, "kdcore"):
        known(workspace)
        known(workspace)
    assert len(caplog.records) == 1


def test_several_may_find_the_index_damaged_at_once(workspace):
    made = {new_run(workspace) for _ in range(10)}
    known(workspace)
    INDEX_DAMAGES["no stages table"](workspace.index)
    with ThreadPoolExecutor(4) as pool:
        for found in [pool.submit(known, workspace) for _ in range(4)]:
            assert set(found.result()) == made


def test_a_locked_index_is_read_as_it_is(workspace, monkeypatch):
    monkeypatch.setattr("kdcore.workspace.database.BUSY_SECONDS", 0.1)
    before = known(workspace)
    new_run(workspace)
    with closing(sqlite3.connect(workspace.index, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert known(workspace) == before


def test_a_folder_in_the_place_of_the_index_is_kept_in_the_trash(workspace):
    workspace.index.mkdir()
    (workspace.index / "somebody's").write_text("x")
    known(workspace)
    assert [path.name for path in workspace.trash.rglob("*") if path.is_file()] == ["somebody's"]


def test_a_document_of_an_earlier_turn_does_not_count(workspace):
    run_id = new_run(workspace)
    meta = workspace.run(run_id) / "meta.json"
    write_json(meta, {"name": "one", "created": 1.0, "turn": 2, "requested": "cancel"})
    assert known(workspace)[run_id].state == "cancelled"
