"""A Recipe of seconds on running text, and a workspace with its run, for tests."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from filelock import FileLock

from kdcore.jobs import api
from kdcore.jobs.follow import follow
from kdcore.recipe import parse
from kdcore.workspace.workspace import Workspace

DECODER = {"architecture": "text_decoder", "depth": 1, "dim": 16, "heads": 2}
SOURCE = {"dataset": "python_source", "characters": 20_000, "window": 32}


def recipe(**more: Any) -> dict[str, Any]:
    """The document of a small Recipe on Python's source."""
    train = {"steps": 40, "batch_size": 512, "learning_rate": 0.01}
    return {
        "name": "Source",
        "data": {"source": SOURCE},
        "teacher": {"model": DECODER | {"dim": 32}, "train": train},
        "student": {"model": DECODER},
        "controls": [{"method": "gkd", "written": 4}],
        "compress": [{"step": "int8_dynamic", "layers": "linear"}],
        "train": train,
        "measure": {"timing_seconds": 1, "robustness": True},
        "seeds": [0, 1],
    } | more


def passages_workspace() -> Path:
    """A workspace with a run of language models; made by the first of the test processes that asks."""
    home = Path(os.environ["KDCORE_HOME"]) / "passages"
    with FileLock(home.with_suffix(".lock")):
        if not (home / "complete").exists():
            workspace = Workspace(home).ensure()
            run_id = api.submit(workspace, parse(recipe()), None)
            *_, row = follow(workspace, run_id)
            assert row.state == "done", row.error
            api.stop_all(workspace)
            (home / "complete").touch()
    return home
