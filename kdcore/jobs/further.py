"""A further worker: builds stages of a run that another one holds, here or on a machine that shares the workspace."""

from __future__ import annotations

import logging
import sys
import time

from kdcore.execute import joined
from kdcore.files import require_locks
from kdcore.problems import Problem, RecipeError
from kdcore.workspace import shapes
from kdcore.workspace.shapes import KINDS
from kdcore.workspace.state import SETTLED, state
from kdcore.workspace.workspace import Workspace

EVERY_SECONDS = 0.5


def build(workspace: Workspace, run_id: str) -> None:
    """Joins the run's worker, and waits for it while the run is queued; returns when nothing is left to build.

    Raises UnknownRun, Damaged, and RecipeError for a run that builds nothing.
    """
    folder = workspace.run(run_id)
    require_locks(workspace.root)
    document = shapes.asked(folder)
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s joined: %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("kdcore").setLevel(logging.INFO)
    if "search" in document:
        from kdcore.search.beside import join

        joined.yield_to_the_page()
        join(workspace, folder, dict(document))
        return
    if kind := shapes.kind(document):
        raise RecipeError([Problem("run", f"is {KINDS[kind].description}; it has no stages to build")])
    stages = workspace.plan(run_id).stages
    while state(folder) not in SETTLED and not all(workspace.complete(stage.key) for stage in stages):
        joined.build(workspace, folder)
        time.sleep(EVERY_SECONDS)
