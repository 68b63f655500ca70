"""Profiles the layers of a finished model's file; the profile is kept beside the model."""

from __future__ import annotations

from collections.abc import Callable

from kdcore.files import lock, write_json
from kdcore.measure import layer_times as profiler
from kdcore.workspace.shapes import LAYER_TIMES
from kdcore.workspace.workspace import Workspace


def layer_times(workspace: Workspace, run: str, variant: str, on_share: Callable[[float], None]) -> None:
    """Profiles the first seed's file of a run's variant, in place of an earlier profile.

    `on_share` hears the share that is done, 0..1, and may raise to end it. Raises UnknownRun, LookupError for a variant
    without a file, and what `kdcore.measure.layer_times` raises.
    """
    plan = workspace.plan(run)
    key = next((row.keys[0] for row in plan.variants if row.name == variant), None)
    folder = workspace.model(key) if key else None
    if folder is None or not (folder / "model.onnx").is_file():
        raise LookupError(f"{variant} of {run} has no file to profile: resume that run")
    found = profiler.layer_times(folder / "model.onnx", plan.dataset["shape"], on_round=on_share)
    document = {"batch": profiler.BATCH, "kernels": [one._asdict() for one in found]}
    with lock(folder / "lock"):
        write_json(folder / LAYER_TIMES, document)
