"""The quickstart, cut down to seconds, for tests that need real runs."""

from __future__ import annotations

import os
from pathlib import Path

from filelock import FileLock

from kdcore.jobs import api
from kdcore.jobs.follow import follow
from kdcore.presets import preset
from kdcore.recipe import Recipe, override, parse
from kdcore.workspace.workspace import Workspace

CUTS = (
    "teacher.model.width=8",
    "teacher.train.steps=60",
    "student.model.width=8",
    "train.steps=60",
    "compress.0.finetune.steps=30",
    "compress.0.round_to=2",
    "measure.timing_seconds=1",
    "seeds=[0,1]",
)
UNSEEN = (
    "name=Unseen",
    'data.hide_classes=["3"]',
    "controls=[]",
    "compress=[]",
    "seeds=[0]",
    "train.steps=30",
    "measure.timing_seconds=0",
    'sweep={"distill.temperature": [1, 16]}',
)


def small(*assignments: str) -> Recipe:
    """The small quickstart with these changes."""
    return parse(override(preset("quickstart").recipe.document(), [*CUTS, *assignments]))


def full_workspace() -> Path:
    """A workspace with a small quickstart and a small sweep; made by the first of the test processes that asks."""
    home = Path(os.environ["KDCORE_HOME"]) / "full"
    with FileLock(home.with_suffix(".lock")):
        if not (home / "complete").exists():
            workspace = Workspace(home).ensure()
            for recipe, name in ((small(), "quickstart"), (small(*UNSEEN), None)):
                *_, row = follow(workspace, api.submit(workspace, recipe, name))
                assert row.state == "done", row.error
            api.stop_all(workspace)
            (home / "complete").touch()
    return home
