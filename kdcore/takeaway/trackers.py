"""A run for the tools that other people follow their experiments with: TensorBoard's event files, and MLflow's runs.

Both are optional: `pip install kdcore[tensorboard]` or `kdcore[mlflow]`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from kdcore.report import comparison
from kdcore.report.comparison import COLUMNS
from kdcore.report.differences import flat
from kdcore.report.documents import comparison_file
from kdcore.report.reading import RunFiles, model
from kdcore.workspace import events, shapes
from kdcore.workspace.intake import CURVES
from kdcore.workspace.workspace import Workspace

AT_ONCE, LONGEST = 100, 500  # of MLflow: parameters in one call, letters of a value
KNOWN = ("latency_ms", "images_per_s", "agreement", "peak_memory_mb")  # of the table, beside a model's own report


class MissingLibrary(RuntimeError):
    """An optional requirement is not installed; the message says how it is."""


class Told(NamedTuple):
    """A finished stage: rows of its history, an epoch each, and its final measures by name."""

    title: str
    key: str
    history: Sequence[Mapping[str, Any]]
    final: Mapping[str, float]

    @property
    def scalars(self) -> Iterator[tuple[str, float, int]]:
        """Name, value and step of all that is known."""
        for row in self.history:
            yield from ((name, row[name], row["step"]) for name in CURVES[2:] if row[name] is not None)
        last = self.history[-1]["step"] if self.history else 0
        yield from ((f"final/{name}", value, last) for name, value in self.final.items())


def tensorboard(workspace: Workspace, run_id: str, folder: Path) -> None:
    """Writes event files, a folder for each stage. Raises MissingLibrary, UnknownRun, Damaged, OSError."""
    _need("tensorboard", "tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    run = RunFiles(workspace, run_id)
    with SummaryWriter(str(folder / run_id)) as writer:
        writer.add_text("recipe", f"```json\n{json.dumps(run.recipe, indent=1, ensure_ascii=False)}\n```")
        writer.add_text("comparison", comparison_file(workspace, [run_id], "markdown").decode())
    for stage in _stages(run):
        with SummaryWriter(str(folder / run_id / f"{stage.title.replace('/', '_')} {stage.key[:8]}")) as writer:
            for name, value, step in stage.scalars:
                writer.add_scalar(name, value, step)


def mlflow(workspace: Workspace, run_id: str, folder: Path) -> None:
    """Writes an experiment into an MLflow store in `folder`: the run with its recipe as parameters, and in it a run for
    each stage with its measures and its ONNX file. Raises MissingLibrary, UnknownRun, Damaged, OSError."""
    _need("mlflow", "mlflow-skinny")
    os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # newer versions ask: a database needs more packages
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param

    run = RunFiles(workspace, run_id)
    client = MlflowClient(tracking_uri=folder.resolve().as_uri())
    found = client.get_experiment_by_name("kdcore")
    experiment = found.experiment_id if found else client.create_experiment("kdcore")
    whole = client.create_run(
        experiment, run_name=shapes.meta(workspace.run(run_id))["name"], tags={"kdcore.run": run_id}
    )
    values = [Param(path, text[:LONGEST]) for path, text in flat(run.recipe).items()]
    for at in range(0, len(values), AT_ONCE):
        client.log_batch(whole.info.run_id, params=values[at : at + AT_ONCE])
    for form, name in (("csv", "comparison.csv"), ("markdown", "comparison.md")):
        client.log_text(whole.info.run_id, comparison_file(workspace, [run_id], form).decode(), name)
    for stage in _stages(run):
        part = client.create_run(
            experiment, run_name=stage.title, tags={"mlflow.parentRunId": whole.info.run_id, "kdcore.model": stage.key}
        ).info.run_id
        metrics = [Metric(name, value, 0, step) for name, value, step in stage.scalars]
        for at in range(0, len(metrics), AT_ONCE):
            client.log_batch(part, metrics=metrics[at : at + AT_ONCE])
        onnx = workspace.model(stage.key) / "model.onnx"
        if onnx.is_file():
            client.log_artifact(part, str(onnx))
        client.set_terminated(part)
    client.set_terminated(whole.info.run_id)


TRACKERS: dict[str, Callable[[Workspace, str, Path], None]] = {"tensorboard": tensorboard, "mlflow": mlflow}


def _need(module: str, package: str) -> None:
    if find_spec(module) is None:
        raise MissingLibrary(f"{module} is not installed: pip install {package}")


def _stages(run: RunFiles) -> Iterator[Told]:
    rows = {row["model_key"]: row for row in comparison.rows(run.workspace, [run.id])}
    for stage in run.plan.stages:
        found = model(run.workspace, stage.key)
        if found is None:
            continue
        row = rows.get(stage.key, dict.fromkeys(COLUMNS))
        figures = {**found.quality, **found.size, **found.cost, **{name: row[name] for name in KNOWN}}
        numbers = {name: float(value) for name, value in figures.items() if type(value) in (int, float)}
        history = events.history(run.workspace.model(stage.key) / "history.jsonl")
        yield Told(stage.title, stage.key, history, numbers)
