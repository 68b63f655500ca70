"""What can be done about a damaged run: what the program wrote is rebuilt, what a person asked for is not."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kdcore.files import Damaged, lock, write_json
from kdcore.workspace import events, plans, shapes

BEYOND = 2**40  # past every event, as only whether the log opens is asked; ext4 seeks no further than 2**44
READERS: dict[str, Callable[[Path], Any]] = {
    "meta.json": shapes.meta,
    "status.json": shapes.status,
    "result.json": shapes.result,
    "events.jsonl": lambda folder: events.read(folder / "events.jsonl", offset=BEYOND),
}


def mendable(file: str) -> bool:
    """Whether a run can be resumed although this file of it is damaged."""
    return file in READERS


def way_out(run_id: str, file: str) -> str:
    """What to do about a run of which this file is damaged, in words for the command line."""
    if mendable(file):
        return f"`python -m kdcore resume {run_id}` rebuilds it; finished models are reused"
    return f"`python -m kdcore delete {run_id}` removes the run; its models stay for other runs and for the same recipe"


def mend(folder: Path, meta: Callable[[shapes.Asked], dict[str, Any]]) -> None:
    """Sets aside what cannot be read of a run, so that a worker can tell it again; `meta` makes another meta.json.

    Raises Damaged where the recipe or the plan cannot be read: those cannot be made again.
    """
    asked = shapes.asked(folder)
    plans.read(folder / "plan.json")
    with lock(folder / "meta.lock"):
        for name, read in READERS.items():
            try:
                read(folder)
            except Damaged as error:
                if os.path.lexists(error.file):
                    error.file.rename(folder / f"{name}.{time.time_ns()}.damaged")
        if not (folder / "meta.json").exists():
            write_json(folder / "meta.json", meta(asked))
