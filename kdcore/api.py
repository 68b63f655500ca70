"""kdcore from Python: what the command line does, in three functions. Import them from `kdcore` itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdcore.jobs import api
from kdcore.presets import preset
from kdcore.recipe import Recipe, parse
from kdcore.workspace.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

Experiment = Recipe | Mapping[str, Any] | str


def submit(experiment: Experiment, workspace: Path | str | None = None) -> str:
    """Puts an experiment into the queue and returns the id of its run; a process of its own does the work.

    `experiment` is a Recipe, a mapping that describes one, or a preset's name; `workspace` a folder, without it
    `KDCORE_HOME` or the usual one. Raises RecipeError for what is no sound Recipe, UnknownPreset.
    """
    here = Workspace(workspace)
    run_id = _submit(experiment, here)
    api.ensure_dispatcher(here)
    return run_id


def run(experiment: Experiment, workspace: Path | str | None = None) -> dict[str, Any]:
    """Does an experiment while you wait and returns the document that `kdcore run --json` prints.

    `document["run"]` is the run's id, `document["variants"]` holds the rows of the comparison (shares are fractions,
    sizes bytes, times milliseconds), `document["verdicts"]` what they show. Progress goes to standard error; an
    interruption cancels the run. Arguments as for `submit`. Raises RecipeError, UnknownPreset, and RuntimeError when
    the run fails or is cancelled.
    """
    from kdcore.cli import console
    from kdcore.report import comparison

    here = Workspace(workspace)
    row = console.settled(here, _submit(experiment, here))
    if row.state != "done":
        raise RuntimeError(f"{row.id}: {row.state}" + (f": {row.error}" if row.error else ""))
    return comparison.document(here, row.id)


def compare(*runs: str, workspace: Path | str | None = None) -> pd.DataFrame:
    """The finished variants of these runs as one table, a row each; columns and units as in `kdcore compare`.

    Raises UnknownRun.
    """
    from kdcore.report import comparison

    return comparison.table(Workspace(workspace), runs)


def _submit(experiment: Experiment, workspace: Workspace) -> str:
    if isinstance(experiment, str):
        return api.submit(workspace, preset(experiment).recipe, experiment)
    return api.submit(workspace, experiment if isinstance(experiment, Recipe) else parse(experiment))
