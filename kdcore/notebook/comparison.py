"""Results beside each other: accuracy with intervals and verdicts on the same images, times from one session."""

from __future__ import annotations

import html
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kdcore.notebook.result import Result
from kdcore.notebook.run import Run
from kdcore.report import columns, comparison
from kdcore.report.verdicts import Verdict

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

SHOWN = ("variant", "accuracy", "score_interval", "size_bytes", "smaller", "latency_ms", "faster", "verdict")
TIMES = ("latency_ms", "faster")


class Comparison:
    """Several results, judged on the same images; the first is the reference of speed.

    `seconds`: the time budget of the one timing session, 0 for none. `margin`: differences within so many points count
    as equivalent. A result is compared with what it was made from where that is here, else with the first. Raises
    RecipeError for results that other images have judged.
    """

    def __init__(self, results: Sequence[Result], seconds: float = 8.0, margin: float = 1.0):
        self.results = tuple(results)
        self._run = Run(self.results, seconds, margin)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """A row a result: shares are fractions, sizes bytes, times milliseconds; see `report.comparison.rows`."""
        return comparison.rows(self._run.workspace, [self._run.id])

    @property
    def table(self) -> pd.DataFrame:
        """All columns, as `kdcore compare` has them."""
        return comparison.table(self._run.workspace, [self._run.id])

    @cached_property
    def verdicts(self) -> list[Verdict]:
        """Each result against what it was made from, or the first: on the same images, by McNemar's test and Tango's
        interval, in percentage points."""
        return comparison.verdicts(self._run.workspace, self._run.id)

    def figure(self, against: Literal["size", "latency"] = "size") -> go.Figure:
        """Accuracy against the file's size, or against latency at batch 1 on one thread."""
        from kdcore.figures import frontier

        return (frontier.against_latency if against == "latency" else frontier.against_size)(self.rows)

    def to_workspace(self, name: str, workspace: Path | str | None = None) -> str:
        """Takes the results into the workspace as a run that the dashboard shows, and returns its id.

        `workspace`: a folder; without it `KDCORE_HOME` or the usual one. Files and figures are there; the networks
        cannot be compressed or trained further there, because only your code makes them. Raises RecipeError where the
        images are no pixels, which the pages could not show.
        """
        return self._run.take(name, workspace)

    def _repr_html_(self) -> str:
        words = "".join(f"<li>{html.escape(one.variant)}: {html.escape(one.words)}</li>" for one in self.verdicts)
        return self._shown().to_html(index=False, border=0) + f"<ul>{words}</ul>"

    def __repr__(self) -> str:
        return self._shown().to_string(index=False)

    def _shown(self) -> pd.DataFrame:
        timed = [name for name in SHOWN if self._run.session or name not in TIMES]
        return columns.rounded(self._run.workspace, self.rows, columns=timed).table
