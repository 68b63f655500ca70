"""What the index tells between two syncs. Whole runs are in tests/jobs."""

from __future__ import annotations

import pytest

from kdcore.files import write_json
from kdcore.pipeline.index import Index
from kdcore.pipeline.workspace import Workspace


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "workspace").ensure()


def test_a_result_is_told_whole_or_not_at_all(workspace):
    meta = {"name": "one", "tags": [], "preset": None, "created": 1.0, "turn": 1, "requested": "run"}
    run_id = workspace.new_run({"recipe.json": {}, "plan.json": {"stages": []}, "meta.json": meta})
    index = Index(workspace)
    index.sync()
    result = {"state": "failed", "turn": 1, "error": "out of paper", "started": 1.0, "finished": 2.0, "summary": {}}
    write_json(workspace.run(run_id) / "result.json", result)
    assert index.run(run_id).state not in ("failed", "done")
    index.sync()
    assert (index.run(run_id).state, index.run(run_id).error) == ("failed", "out of paper")
