"""Results as a run of a workspace in a temporary folder, so that table, verdicts and charts are those of every run."""

from __future__ import annotations

import json
import secrets
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from kdcore.data.types import Dataset
from kdcore.execute.leaving import show
from kdcore.execute.run import environment
from kdcore.files import write_json
from kdcore.measure import timing
from kdcore.notebook.images import refuse
from kdcore.report.comparison import summary
from kdcore.takeaway.importing import import_run
from kdcore.takeaway.run import write_run
from kdcore.workspace.plans import Plan, Stage, Variant
from kdcore.workspace.workspace import Workspace

NOTE = "Made by a person's own code in Python. The networks cannot be rebuilt here; their files are what was measured."


class Measured(Protocol):
    """A model with its files in `folder`, as the workspace has them."""

    @property
    def name(self) -> str: ...
    @property
    def stage(self) -> Stage: ...
    @property
    def dataset(self) -> Dataset: ...
    @property
    def folder(self) -> Path: ...
    @property
    def judged_by(self) -> str: ...
    @property
    def report(self) -> dict[str, Any]: ...
    def epochs(self) -> list[dict[str, Any]]: ...


class Run:
    """The run of some models, the first of which is the reference of speed, timed together for some `seconds`."""

    def __init__(self, models: Sequence[Measured], seconds: float, margin: float):
        _check(models)
        self.models = _named(models)
        self.dataset = models[0].dataset
        self._kept = tempfile.TemporaryDirectory(prefix="kdcore-")
        self.workspace = Workspace(self._kept.name).ensure()
        for one in models:
            shutil.copytree(one.folder, self.workspace.model(one.stage.key))
        show(self.workspace.dataset(self.dataset.fingerprint), self.dataset)
        self.session = self._timed(seconds) if seconds else None
        self.id = self._written(margin)

    def take(self, name: str, workspace: Path | str | None) -> str:
        """Moves a copy into the workspace; the run's id there. Raises RecipeError for what pages could not show."""
        if not 1 <= len(name.strip()) <= 120:
            refuse("name", "needs 1 to 120 characters")
        if self.dataset.test_images.dtype != np.uint8:
            refuse("workspace", "the dashboard shows pixels: give images as uint8, or as floats that are n / 255")
        meta = self.workspace.run(self.id) / "meta.json"
        write_json(meta, json.loads(meta.read_text("utf-8")) | {"name": name.strip()})
        file = Path(self._kept.name) / "run.zip"
        write_run(self.workspace, self.id, file)
        return import_run(Workspace(workspace), file).run

    def _timed(self, seconds: float) -> str:
        files = {one.stage.key: one.folder / "model.onnx" for one in self.models.values()}
        document = timing.session(files, next(iter(files)), self.dataset.shape, seconds=seconds)
        session = f"{time.strftime('%y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
        about = {"id": session, "created": time.time(), "runs": []}
        write_json(self.workspace.sessions / f"{session}.json", document | about)
        return session

    def _written(self, margin: float) -> str:
        now = time.time()
        meta = {
            "name": "Results", "notes": NOTE, "tags": ["Python"], "preset": "python", "created": now, "order": now,
            "requested": "run", "turn": 1,
        }  # fmt: skip
        run = self.workspace.new_run(
            {
                "plan.json": self._plan().document(),
                "recipe.json": {"python": list(self.models), "measure": {"margin": margin}},
                "meta.json": meta,
                "result.json": self._ended(now),
            }
        )
        lines = [f"{json.dumps(event)}\n" for event in self._events(now)]
        (self.workspace.run(run) / "events.jsonl").write_text("".join(lines), "utf-8")
        ended = self._ended(now) | {"summary": summary(self.workspace, run)}
        write_json(self.workspace.run(run) / "result.json", ended)
        return run

    def _plan(self) -> Plan:
        dataset, first = self.dataset, next(iter(self.models))
        names = {one.stage.key: name for name, one in self.models.items()}
        variants = [
            Variant(
                name=name, role=one.stage.role if place else "teacher", stage=one.stage.kind, keys=(one.stage.key,),
                parent=names.get(one.stage.parent or "", first) if place else None,
            )
            for place, (name, one) in enumerate(self.models.items())
        ]  # fmt: skip
        return Plan(
            dataset={
                "name": dataset.name, "fingerprint": dataset.fingerprint, "classes": list(dataset.classes),
                "shape": list(dataset.shape), "train": 0, "labelled": 0, "seen": 0, "validation": 0,
                "test": len(dataset.test_labels), "hidden": [], "start": "python", "teacher": "python",
            },
            stages=tuple(self._stages(names)), variants=tuple(variants),
        )  # fmt: skip

    def _stages(self, names: dict[str, str]) -> Iterator[Stage]:
        for name, one in self.models.items():
            parent = one.stage.parent if one.stage.parent in names else None
            role = one.stage.role if one is not next(iter(self.models.values())) else "teacher"
            yield one.stage.model_copy(update={"title": name, "variant": name, "parent": parent, "role": role})

    def _ended(self, now: float) -> dict[str, Any]:
        built = [
            {"stage": name, "key": one.stage.key, "reused": False, "seconds": one.report["train"]["seconds"]}
            for name, one in self.models.items()
        ]
        return {
            "state": "done", "turn": 1, "error": None, "started": now, "finished": now, "stages": built,
            "session": self.session, "environment": environment(),
        }  # fmt: skip

    def _events(self, now: float) -> Iterator[dict[str, Any]]:
        for one in self.models.values():
            key, seconds = one.stage.key, one.report["train"]["seconds"]
            yield {"type": "stage", "t": now, "stage": key, "state": "running"}
            for row in one.epochs():
                yield {"type": "epoch", "t": now, "stage": key, **row}
            yield {"type": "stage", "t": now, "stage": key, "state": "done", "seconds": seconds}


def _named(models: Sequence[Measured]) -> dict[str, Measured]:
    """By name; of several of one name the later ones are numbered."""
    seen: Counter[str] = Counter()
    found = {}
    for one in models:
        seen[one.name] += 1
        found[one.name if seen[one.name] == 1 else f"{one.name} ({seen[one.name]})"] = one
    return found


def _check(models: Sequence[Measured]) -> None:
    if not models:
        refuse("items", "name one result at least")
    if len({one.stage.key for one in models}) < len(models):
        refuse("items", "the same result is here twice")
    if len({(one.dataset.fingerprint, one.judged_by) for one in models}) > 1:
        refuse("items", "they were judged by different images, so they cannot be compared: give the modules and test=")
