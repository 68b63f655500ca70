"""The models that the workspace has, as teachers for other runs. No torch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kdcore.compress.traits import StepTraits
from kdcore.distill.source import StoredModel, Gives, refuse
from kdcore.export.external_onnx import Judged
from kdcore.files import Damaged, read_json
from kdcore.workspace.workspace import UnknownRun, Workspace
from kdcore.problems import Problem, RecipeError

ANSWERS = "answers.npz"  # of a teacher that is not there: its logits (N, K) for the training images, "train"
_KEY = re.compile(r"[0-9a-f]{64}")


class Library:
    """Finds finished models by run and variant, or by key."""

    def __init__(self, workspace: Workspace):
        self.workspace = workspace

    def find(self, model: str, variant: str) -> StoredModel:
        """The model of the first seed of a run's variant, or the one of a key. Raises RecipeError."""
        if not model:
            refuse("model", "name an earlier run by its id, or a model by its key")
        if _KEY.fullmatch(model):
            return self._found(model, f"model {model[:12]}", {})
        try:
            plan = self.workspace.plan(model)
        except UnknownRun:
            refuse("model", f'"{model}" is neither a run of this workspace nor the key of a model (64 hex digits)')
        except Damaged as error:
            refuse("model", f"{model} is damaged: {error}")
        rows = {row.name: row for row in plan.variants}
        if not rows:
            refuse("model", f"{model} measures models of other runs and has none of its own")
        if variant not in rows:
            refuse("variant", f'"{variant}" is not in {model}; there are: {", ".join(rows)}')
        return self._found(rows[variant].keys[0], f"{variant} of {model}", plan.dataset)

    def network(self, run: str, variant: str) -> StoredModel:
        """The model of the first seed of a run's variant, whose network could be changed.

        Raises UnknownRun, and RecipeError, for an int8 file among others.
        """
        self.workspace.run(run)
        try:
            found = self.find(run, variant)
        except RecipeError as error:
            problems = [Problem(problem.field.rpartition(".")[2], problem.message) for problem in error.problems]
            raise RecipeError(problems) from None
        if found.gives != "features":
            message = f"{found.name} has no network that can be compressed: use its parent"
            raise RecipeError([Problem("variant", message)])
        return found

    def _found(self, key: str, name: str, dataset: Mapping[str, Any]) -> StoredModel:
        folder = self.workspace.model(key)
        if reason := self.workspace.damage(key, ["model.safetensors"]):
            by = maker(self.workspace, key)
            refuse("model", f"{name} is damaged: {reason}" + (f"; resume {by} to make it again" if by else ""))
        if not self.workspace.complete(key):
            refuse("model", f"{name} is not finished, or no longer in the workspace: resume its run, or train it again")
        report = read_json(folder / "report.json")
        made_on = read_json(folder / "done.json").get("dataset") or dataset
        if not made_on:
            refuse("model", f"{name} does not name its data set: give its run instead of its key")
        described = read_json(folder / "architecture.json", {})
        cost = report.get("cost") or {}
        return StoredModel(
            key, folder, name,
            fingerprint=made_on["fingerprint"],
            classes=tuple(made_on["classes"]),
            shape=tuple(made_on["shape"]),
            architecture=described.get("architecture"),
            params=cost.get("params"),
            macs=cost.get("macs"),
            gives=gives(folder, report),
            closed=_closed(folder, report),
        )  # fmt: skip


def _closed(folder: Path, report: dict[str, Any]) -> str:
    """Why no step can follow; empty where one can: on a network, or on the fp32 graph of an ONNX file that was given."""
    if gives(folder, report) == "features":
        return ""
    if gives(folder, report) == "table":
        return "only its outputs are known"
    stage = read_json(folder / "done.json").get("stage", {})
    if stage.get("kind") == "given":
        judged = report.get("source")
        if judged is None:
            return "it was taken over from a run on other data: start from the model of that run"
        return Judged.read(judged).closed if "weights" in judged else ""  # earlier versions did not say
    step = stage.get("spec", {}).get("step")
    if step and StepTraits.named(step["step"]).final:
        return "it is the file that its step made to be kept: use what that was made from"
    return ""


def maker(workspace: Workspace, key: str) -> str | None:
    """The newest run that makes the model of this key, so that to resume it would make it again."""
    for run_id in reversed(workspace.run_ids()):
        try:
            stages = read_json(workspace.runs / run_id / "plan.json")["stages"]
            if any(stage["key"] == key and stage["spec"].get("content") != key for stage in stages):
                return run_id
        except (Damaged, OSError, LookupError, TypeError, AttributeError):
            continue  # a damaged run makes nothing
    return None


def gives(folder: Path, report: dict[str, Any] | None = None) -> Gives:
    """What a finished model can teach with. The network of an int8 file is not what is deployed: the file is asked."""
    report = report or read_json(folder / "report.json")
    if not (folder / "model.onnx").is_file():
        return "table"
    return "features" if (folder / "model.safetensors").is_file() and report.get("export") else "answers"


def deployed(workspace: Workspace, keys: Iterable[str]) -> dict[str, Path]:
    """The files of the finished ones among these models, by key, in order; a teacher on record has none.

    The first is the reference of a timing session: the teacher, or without a file of it the student alone.
    """
    files = {key: workspace.model(key) / "model.onnx" for key in keys if workspace.complete(key)}
    return {key: path for key, path in files.items() if path.is_file()}
