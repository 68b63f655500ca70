"""What the index tells between two syncs. Whole runs are in tests/jobs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from kdcore.files import write_json
from kdcore.workspace.index import Index
from kdcore.workspace.workspace import Workspace


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "workspace").ensure()


def new_run(workspace):
    meta = {"name": "one", "tags": [], "preset": None, "created": 1.0, "turn": 1, "requested": "run"}
    return workspace.new_run({"recipe.json": {}, "plan.json": {"stages": []}, "meta.json": meta})


def test_a_result_is_told_whole_or_not_at_all(workspace):
    run_id = new_run(workspace)
    index = Index(workspace)
    index.sync()
    result = {"state": "failed", "turn": 1, "error": "out of paper", "started": 1.0, "finished": 2.0, "summary": {}}
    write_json(workspace.run(run_id) / "result.json", result)
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
