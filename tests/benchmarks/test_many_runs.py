"""The synthetic workspace: copies that are runs of their own, and what is concluded from their costs."""

from __future__ import annotations

from benchmarks import many_runs
from benchmarks.dashboard import copies
from kdcore.files import read_json, write_json
from kdcore.jobs.dispatcher import pending
from kdcore.workspace.index import Index
from kdcore.workspace.workspace import Workspace
from tests.damage.runs import new_run


def test_copies_are_finished_runs_with_names_of_their_own(tmp_path):
    workspace = Workspace(tmp_path / "workspace").ensure()
    run_id = new_run(workspace)
    meta = workspace.run(run_id) / "meta.json"
    write_json(meta, read_json(meta) | {"created": 1e9})
    copies(workspace, run_id, range(3))
    index = Index(workspace)
    index.sync()
    rows = index.runs()
    assert {row.name for row in rows if row.id != run_id} == {f"Experiment {number}" for number in range(3)}
    assert {row.state for row in rows} == {"done"}
    assert pending(workspace, {}) == []


def test_limits_follow_from_the_costs_of_the_largest_workspace():
    seconds = {"index: each new run": 0.004, "index: nothing new": 2.0, "dispatcher's look": 0.1}
    pages = {name: [many_runs.Visit(0.5, 20_000)] for name in many_runs.PAGES}
    costs = [many_runs.Costs(runs, seconds, pages) for runs in (1_000, 100_000)]
    text = many_runs.body(costs, many_runs.Rates(events=40, job=0.0005, sync=6.0, look=1.0, worker=600))
    assert "| index: nothing new | 2.0 s | 2.0 s |" in text
    assert "| Runs | 500 ms, 0.02 MB | 500 ms, 0.02 MB |" in text
    for told in ("20 µs and 6.0", "100,000 runs on", "2,000 workers", "10,000 events a second"):
        assert told in text
