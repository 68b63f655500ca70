"""Results beside each other: accuracy with intervals and verdicts on the same images, times from one session.

They are written as a run into a workspace of their own, in a temporary folder, so that table, verdicts and charts are
those of every other run; `to_workspace` moves that run to where the dashboard shows it.
"""

from __future__ import annotations

import html
import json
import secrets
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from kdcore.execute.leaving import show
from kdcore.execute.run import environment
from kdcore.files import write_json
from kdcore.measure import timing
from kdcore.notebook.images import refuse
from kdcore.notebook.result import Result
from kdcore.report import columns, comparison
from kdcore.report.verdicts import Verdict
from kdcore.takeaway.importing import import_run
from kdcore.takeaway.run import write_run
from kdcore.workspace.plans import Plan, Stage, Variant
from kdcore.workspace.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

SHOWN = ("variant", "accuracy", "score_interval", "size_bytes", "smaller", "latency_ms", "faster", "verdict")
NOTE = "Made in Python by a person's own code: the networks cannot be rebuilt here, their files are what was measured."


class Comparison:
    """Several results, judged on the same images; the first is the reference of speed.

    `seconds`: the time budget of the one timing session, 0 for none. `margin`: differences within so many points count
    as equivalent. A result is compared with what it was made from where that is here, else with the first.
    """

    def __init__(self, results: Sequence[Result], seconds: float = 8.0, margin: float = 1.0):
        self.results = _named(results)
        _check(results)
        self._kept = tempfile.TemporaryDirectory(prefix="kdcore-")
        self._workspace = Workspace(self._kept.name).ensure()
        for one in self.results.values():
            shutil.copytree(one.folder, self._workspace.model(one.stage.key))
        show(self._workspace.dataset(results[0].dataset.fingerprint), results[0].dataset)
        self._session = self._timed(seconds) if seconds else None
        self._run = self._written(margin)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """A row a result: shares are fractions, sizes bytes, times milliseconds; see `report.comparison.rows`."""
        return comparison.rows(self._workspace, [self._run])

    @property
    def table(self) -> pd.DataFrame:
        """All columns, as `kdcore compare` has them."""
        return comparison.table(self._workspace, [self._run])

    @cached_property
    def verdicts(self) -> list[Verdict]:
        """Each result against what it was made from, or the first: on the same images, by McNemar's test and Tango's
        interval, in percentage points."""
        return comparison.verdicts(self._workspace, self._run)

    def figure(self, against: Literal["size", "latency"] = "size") -> go.Figure:
        """Accuracy against the file's size, or against latency at batch 1 on one thread."""
        from kdcore.figures import frontier

        return (frontier.against_latency if against == "latency" else frontier.against_size)(self.rows)

    def plot(self, against: Literal["size", "latency"] = "size") -> go.Figure:
        """The same as `figure`."""
        return self.figure(against)

    def to_workspace(self, name: str, workspace: Path | str | None = None) -> str:
        """Takes the results into the workspace as a run that the dashboard shows, and returns its id.

        `workspace`: a folder; without it `KDCORE_HOME` or the usual one. Files and figures are there; the networks
        cannot be compressed or trained further there, because only your code makes them. Raises RecipeError where the
        images are no pixels, which the pages could not show.
        """
        if not 1 <= len(name.strip()) <= 120:
            refuse("name", "needs 1 to 120 characters")
        if next(iter(self.results.values())).dataset.test_images.dtype != np.uint8:
            refuse("workspace", "the dashboard shows pixels: give images as uint8, or as floats that are n / 255")
        meta = self._workspace.run(self._run) / "meta.json"
        write_json(meta, json.loads(meta.read_text("utf-8")) | {"name": name.strip()})
        file = Path(self._kept.name) / "run.zip"
        write_run(self._workspace, self._run, file)
        return import_run(Workspace(workspace), file).run

    def _repr_html_(self) -> str:
        words = "".join(f"<li>{html.escape(one.variant)}: {html.escape(one.words)}</li>" for one in self.verdicts)
        return self._shown().to_html(index=False, border=0) + f"<ul>{words}</ul>"

    def __str__(self) -> str:
        return self._shown().to_string(index=False)

    def _shown(self) -> pd.DataFrame:
        timed = [name for name in SHOWN if self._session or name not in ("latency_ms", "faster")]
        return columns.rounded(self._workspace, self.rows, columns=timed).table

    def _timed(self, seconds: float) -> str:
        files = {one.stage.key: one.onnx for one in self.results.values()}
        shape = next(iter(self.results.values())).dataset.shape
        document = timing.session(files, next(iter(files)), shape, seconds=seconds)
        session = f"{time.strftime('%y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
        about = {"id": session, "created": time.time(), "runs": []}
        write_json(self._workspace.sessions / f"{session}.json", document | about)
        return session

    def _written(self, margin: float) -> str:
        now = time.time()
        run = self._workspace.new_run(
            {
                "plan.json": self._plan().document(),
                "recipe.json": {"python": list(self.results), "measure": {"margin": margin}},
                "meta.json": {"name": "Results", "notes": NOTE, "tags": ["Python"], "preset": "python",
                              "created": now, "order": now, "requested": "run", "turn": 1},
                "result.json": self._ended(now),
            }
        )  # fmt: skip
        lines = [json.dumps(event) for event in self._events(now)]
        (self._workspace.run(run) / "events.jsonl").write_text("".join(f"{line}\n" for line in lines), "utf-8")
        return run

    def _plan(self) -> Plan:
        first = next(iter(self.results.values()))
        dataset = first.dataset
        parents = {one.stage.key: name for name, one in self.results.items()}
        variants = [
            Variant(
                name=name, role=one.stage.role if place else "teacher", stage=one.stage.kind, keys=(one.stage.key,),
                parent=parents.get(one.stage.parent or "", next(iter(self.results))) if place else None,
            )
            for place, (name, one) in enumerate(self.results.items())
        ]  # fmt: skip
        return Plan(
            dataset={
                "name": dataset.name, "fingerprint": dataset.fingerprint, "classes": list(dataset.classes),
                "shape": list(dataset.shape), "train": 0, "labelled": 0, "seen": 0, "validation": 0,
                "test": len(dataset.test_labels), "hidden": [], "start": "model", "teacher": "python",
            },
            stages=tuple(self._stages()), variants=tuple(variants),
        )  # fmt: skip

    def _stages(self) -> Iterator[Stage]:
        known = {one.stage.key for one in self.results.values()}
        for name, one in self.results.items():
            parent = one.stage.parent if one.stage.parent in known else None
            yield one.stage.model_copy(update={"title": name, "variant": name, "parent": parent})

    def _ended(self, now: float) -> dict[str, Any]:
        built = [
            {"stage": name, "key": one.stage.key, "reused": False, "seconds": one.report["train"]["seconds"]}
            for name, one in self.results.items()
        ]
        return {
            "state": "done", "turn": 1, "error": None, "started": now, "finished": now, "stages": built,
            "session": self._session, "environment": environment(), "summary": {},
        }  # fmt: skip

    def _events(self, now: float) -> Iterator[dict[str, Any]]:
        for one in self.results.values():
            key = one.stage.key
            yield {"type": "stage", "t": now, "stage": key, "state": "running"}
            for row in one.epochs():
                yield {"type": "epoch", "t": now, "stage": key, **row}
            seconds = one.report["train"]["seconds"]
            yield {"type": "stage", "t": now, "stage": key, "state": "done", "seconds": seconds}


def _named(results: Sequence[Result]) -> dict[str, Result]:
    """By name; of several of one name the later ones are numbered."""
    seen: Counter[str] = Counter()
    found = {}
    for one in results:
        seen[one.name] += 1
        found[one.name if seen[one.name] == 1 else f"{one.name} ({seen[one.name]})"] = one
    return found


def _check(results: Sequence[Result]) -> None:
    if not results:
        refuse("items", "name one result at least")
    if len({one.stage.key for one in results}) < len(results):
        refuse("items", "the same result is here twice")
    if len({(one.dataset.fingerprint, one.judged_by) for one in results}) > 1:
        refuse("items", "they were judged by different images, so they cannot be compared: give the modules and test=")
