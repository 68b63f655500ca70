"""kdcore from Python: what the command line does. `compare` takes networks of your own too. Import from `kdcore`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from kdcore.jobs import api
from kdcore.presets import preset
from kdcore.recipe import Recipe, parse
from kdcore.workspace.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn

    from kdcore.notebook import Comparison, Result

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


@overload
def compare(*items: str, workspace: Path | str | None = None) -> pd.DataFrame: ...


@overload
def compare(
    *items: nn.Module | Result | Sequence[nn.Module | Result], test: Any = None, classes: Sequence[str] | None = None,
    seconds: float = 8.0, margin: float = 1.0,
) -> Comparison: ...  # fmt: skip


def compare(
    *items: Any, workspace: Path | str | None = None, test: Any = None, classes: Sequence[str] | None = None,
    seconds: float = 8.0, margin: float = 1.0,
) -> pd.DataFrame | Comparison:  # fmt: skip
    """Models beside each other: runs of the workspace by their ids, or results and modules of your own.

    Of runs: the finished variants as one table, a row each; columns and units as in `kdcore compare`; `workspace` as
    for `submit`. Of results (of `fit`, `distill`, `compress`) and modules: a `Comparison`, with accuracy and interval
    on the same images, verdicts, and times from one session, in which the first is the reference. Modules are measured
    first, on `test`, (images, labels) as in `distill`; `classes`: the names of its classes. `seconds`: the time budget
    of the session, 0 for none. `margin`: differences within so many percentage points count as equivalent.

    Raises UnknownRun, and RecipeError for what cannot be compared.
    """
    if items and all(isinstance(item, str) for item in items):
        from kdcore.report import comparison

        return comparison.table(Workspace(workspace), items)
    from kdcore import notebook

    listed = [one for item in items for one in (item if isinstance(item, list | tuple) else [item])]
    return notebook.compare(listed, test, classes, seconds=seconds, margin=margin)


def _submit(experiment: Experiment, workspace: Workspace) -> str:
    if isinstance(experiment, str):
        return api.submit(workspace, preset(experiment).recipe, experiment)
    return api.submit(workspace, experiment if isinstance(experiment, Recipe) else parse(experiment))
