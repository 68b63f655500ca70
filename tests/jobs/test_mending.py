"""What a resume makes again of a damaged run, and what it leaves alone."""

from __future__ import annotations

from kdcore.jobs import api
from kdcore.workspace.events import EventLog
from tests.small import small


def test_a_resume_keeps_the_events_of_a_run_that_is_whole(workspace):
    run_id = api.submit(workspace, small())
    folder = workspace.run(run_id)
    EventLog(folder / "events.jsonl")("session", state="running", progress=0.5)
    told = (folder / "events.jsonl").read_text()
    api.request(workspace, run_id, "cancel")
    api.request(workspace, run_id, "run")
    assert (folder / "events.jsonl").read_text() == told
    assert not list(folder.glob("*.damaged"))
