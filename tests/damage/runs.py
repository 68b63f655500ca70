"""Runs as small as a run can be, for tests of what happens when their files are damaged. No torch, no worker."""

from __future__ import annotations

import json
import time

from kdcore.files import write_json

KEY = "a" * 64
DATA = {"name": "digits", "fingerprint": "f00d", "classes": ["0", "1"], "shape": [1, 8, 8], "hidden": []}
DATA |= dict.fromkeys(("train", "labelled", "seen", "validation", "test"), 10)
META = {"name": "one", "tags": [], "preset": None, "created": 1.0, "order": 1.0, "turn": 1, "requested": "run"}
FILES = ("meta.json", "status.json", "result.json", "plan.json", "recipe.json")


def plan(key=KEY):
    """A plan of one stage and one variant."""
    stage = {"key": key, "title": "it", "kind": "train", "variant": "it", "role": "teacher", "seed": 0, "spec": {}}
    variant = {"name": "it", "role": "teacher", "stage": "train teacher", "keys": [key]}
    return {"dataset": DATA, "stages": [stage], "variants": [variant]}


def new_run(workspace, key=KEY, **meta):
    """A finished run with all of FILES, and a line of each kind in its events.jsonl; returns its id."""
    run_id = workspace.new_run(
        {
            "recipe.json": {"name": "one", "measure": {"margin": 1.0}},
            "plan.json": plan(key),
            "meta.json": META | meta,
            "status.json": {"turn": 1, "attempt": 1, "process": 1, "host": "elsewhere", "started": time.time()},
        }
    )
    events = [
        {"t": 1.0, "type": "weights", "weights": {key: 2.0}, "session": 1.0},
        {"t": 1.0, "type": "stage", "stage": key, "state": "done", "seconds": 1.0},
    ]
    lines = "".join(json.dumps(event) + "\n" for event in events)
    (workspace.run(run_id) / "events.jsonl").write_text(lines)
    end(workspace, run_id)
    return run_id


def end(workspace, run_id, **changes):
    """Writes the run's result."""
    result = {"state": "done", "turn": 1, "error": None, "started": 1.0, "finished": 2.0, "summary": {}}
    write_json(workspace.run(run_id) / "result.json", result | changes)
