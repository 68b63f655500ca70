"""A data set of short texts, a Recipe of seconds on it, and a workspace with its run, for tests."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from kdcore.data.fetch import fetch
from kdcore.jobs import api
from kdcore.jobs.follow import follow
from kdcore.recipe import parse
from kdcore.registry import validate
from kdcore.workspace.workspace import Workspace

ENCODER = {"architecture": "text_encoder", "depth": 1, "dim": 16, "heads": 2}


def csv_source(folder: Path) -> dict[str, Any]:
    """Words out of the letters of three languages that do not exist; prepared."""
    chance = np.random.default_rng(0)
    lines = ["text,label"]
    for label, letters in (("abba", "abcd"), ("doge", "cdef"), ("gigo", "efgh")):
        words = ("".join(chance.choice(list(letters), chance.integers(3, 9))) for _ in range(60))
        lines += [f"{word},{label}" for word in words]
    path = folder / "words.csv"
    path.write_text("\n".join(lines))
    source = {"dataset": "text_csv", "path": str(path)}
    fetch(validate("dataset", source))
    return source


def recipe(source: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The document of a small Recipe on these texts."""
    train = {"steps": 40, "batch_size": 16, "learning_rate": 0.01}
    return {
        "name": "Words",
        "data": {"source": source, "labels": 30, "transfer": True},
        "teacher": {"model": ENCODER | {"dim": 32}, "train": train},
        "student": {"model": ENCODER},
        "controls": [{"method": "hard_labels"}],
        "compress": [{"step": "int8_dynamic", "layers": "linear"}],
        "train": train,
        "measure": {"timing_seconds": 1, "robustness": True},
        "seeds": [0, 1],
    } | more


def text_workspace() -> Path:
    """A workspace with a run on texts; made by the first of the test processes that asks."""
    home = Path(os.environ["KDCORE_HOME"]) / "texts"
    with FileLock(home.with_suffix(".lock")):
        if not (home / "complete").exists():
            workspace = Workspace(home).ensure()
            run_id = api.submit(workspace, parse(recipe(csv_source(home))), None)
            *_, row = follow(workspace, run_id)
            assert row.state == "done", row.error
            api.stop_all(workspace)
            (home / "complete").touch()
    return home
