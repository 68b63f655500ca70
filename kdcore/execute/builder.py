"""Carrying out one stage: train, distil, compress or take in a teacher, then export, evaluate and write the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from kdcore import machine, models, registry
from kdcore.compress.step import StepResult
from kdcore.data.dataset import load
from kdcore.data.splits import split
from kdcore.data.types import Dataset
from kdcore.distill.method import Method
from kdcore.execute import crew
from kdcore.execute.leaving import Facts, leave
from kdcore.execute.material import Made, Material, method_of, settled
from kdcore.execute.teachers import Teachers
from kdcore.export.graph_network import GraphNetwork, network_of
from kdcore.files import read_json
from kdcore.inputs import Held
from kdcore.measure.cost import cost_of_file
from kdcore.measure.evaluate import Evaluation, evaluate, evaluate_answers
from kdcore.measure.privacy import members_of
from kdcore.models.cost import macs
from kdcore.recipe import Data, Recipe, Train
from kdcore.train import lora
from kdcore.train.checkpoint import Progress
from kdcore.train.loop import Task, fit
from kdcore.train.objective import Objective
from kdcore.train.team import Alone
from kdcore.workspace.plans import Plan, Stage
from kdcore.workspace.workspace import Workspace

Check = Callable[[], None]
Epoch = Callable[[dict[str, Any]], None]
Phase = Callable[[str], None]


class Builder:
    """Builds the models of one run: holds its data on the device and what its stages share.

    `files`: where the content of given teachers is, as the plan says.
    """

    def __init__(
        self,
        workspace: Workspace,
        dataset: Dataset,
        data: Data,
        files: Mapping[str, str] = {},
    ):
        self.workspace, self.dataset, self.data = workspace, dataset, data
        self.device = torch.device(machine.device())
        self.shares = split(dataset, data)
        self.material = Material(dataset, self.shares, self.device, data.hide_classes)
        self.teachers = Teachers(workspace, dataset, self.shares, files, self.device)
        torch.set_num_threads(machine.threads())
        if self.device.type == "cuda":
            torch.backends.cudnn.benchmark = True

    def build(self, stage: Stage, *, on_epoch: Epoch, on_phase: Phase, check: Check) -> None:
        """Leaves the whole model of `stage` in the workspace. Its inputs must be complete.

        Goes on from the stage's checkpoint where there is one. Raises what training, compression or
        export raise, and whatever `check` raises.
        """
        folder = self.workspace.model(stage.key)
        self._share_out(stage)
        if stage.kind == "given":
            on_phase("importing the teacher")
            brought = self.teachers.bring(stage, folder / "scratch")
            made = Made(brought.network, brought=brought)
        else:
            made = self._carry_out(stage, folder, on_epoch, on_phase, check)
        check()
        if made.network is not None:
            settled(made.network)
        on_phase("exporting to ONNX")
        exported = self.material.export(made, folder, self.workspace.cache / "onnx")
        check()
        on_phase("evaluating")
        self._finish(stage, folder, made, exported)

    def _share_out(self, stage: Stage) -> None:
        """Divides the training examples as for this stage: a sweep may vary how many are labelled."""
        labels = stage.spec["data"].get("labels", self.data.labels)
        if labels == self.data.labels:
            return
        self.data = self.data.model_copy(update={"labels": labels})
        self.shares = split(self.dataset, self.data)
        self.material = replace(self.material, shares=self.shares)
        self.teachers.shares = self.shares

    def take_part(self, stage: Stage, team: Alone, *, on_epoch: Epoch) -> None:
        """Trains the network of `stage` together with other processes, up to its last checkpoint."""
        self._share_out(stage)
        method = _method(stage)
        network = self._begun(stage, method)
        fit(network, self._task(stage, method, None), self.workspace.model(stage.key), on_epoch=on_epoch, team=team)

    def _carry_out(self, stage: Stage, folder: Path, on_epoch: Epoch, on_phase: Phase, check: Check) -> Made:
        outcome = None
        method = _method(stage)
        if stage.kind == "compress":
            on_phase("compressing")
            outcome = self._compress(stage, folder)
            network = outcome.network
        else:
            network = self._begun(stage, method)
        progress = Progress()
        if "train" in stage.spec:
            on_phase("training")
            if stage.devices > 1:
                work = crew.Work(self.workspace, stage, self.data, dict(self.teachers.files))
                crew.train(work, stage.devices, folder / "scratch", on_epoch=on_epoch, check=check)
                on_epoch = _heard  # what follows reads their checkpoint
            task = self._task(stage, method, outcome)
            progress = fit(network, task, folder, on_epoch=on_epoch, check=check)
        if outcome and outcome.finish:
            on_phase("finishing")
        return _as_file(Made(network, outcome, progress).finished(), folder / "scratch")

    def _begun(self, stage: Stage, method: Method[Any] | None) -> nn.Module:
        """The network as its training begins: the same in every process."""
        torch.manual_seed(stage.seed)
        network = self._create(stage.spec["model"])
        if method:
            network = method.begin(network, self.teachers.load(stage.teacher) if stage.teacher else None)
        return network

    def _create(self, model: dict[str, Any]) -> nn.Module:
        options = registry.validate("architecture", model)
        dataset = self.dataset
        return models.create(options, len(dataset.classes), dataset.shape, dataset.mean, dataset.std)

    def _compress(self, stage: Stage, folder: Path) -> StepResult:
        assert stage.parent
        options = registry.validate("step", stage.spec["step"])
        parent = self.workspace.model(stage.parent)
        network = network_of(parent)
        return self.material.compressed(options, network, parent / "model.onnx", folder / "scratch", stage.seed)

    def _task(self, stage: Stage, method: Method[Any] | None, outcome: StepResult | None) -> Task:
        spec = stage.spec
        train = Train.model_validate({**spec["train"], "precision": spec["precision"]})
        sees = spec.get("sees", "seen")
        images = self.material.images(sees)
        lesson = self._lesson(stage, method, train, images) if method else Objective()
        rate = "finetune.learning_rate" if outcome else "train.learning_rate"
        return self.material.task(
            images, train, spec["train"]["steps"], lesson, stage.seed, sees=sees, outcome=outcome, rate=rate
        )

    def _lesson(self, stage: Stage, method: Method[Any], train: Train, images: Held) -> Objective:
        spec = stage.spec
        if "beside" in spec:
            scheme = registry.validate("scheme", spec["scheme"])
            made = [self._create(model) for model in spec["beside"]]
            return registry.entry_of("scheme", scheme).implementation(scheme).lesson(method, made)
        return self.teachers.lesson(stage, method, train, images)

    def _finish(self, stage: Stage, folder: Path, made: Made, exported: dict[str, Any]) -> None:
        measured = self._measured(stage, folder, made)
        described = self._describe(stage, made) if made.network is not None else None
        facts = Facts(measured, described, exported, self._training(stage, made), str(self.device))
        leave(folder, stage, self.dataset, made, facts)

    def _measured(self, stage: Stage, folder: Path, made: Made) -> Evaluation:
        if made.brought and made.brought.answers:
            return evaluate_answers(made.brought.answers, self.dataset, self.shares)
        parent = self._parent_logits(stage)
        came_from = self.workspace.model(stage.parent) / "model.onnx" if stage.parent else None
        found = evaluate(
            folder / "model.onnx", made.network, self.dataset, self.shares,
            hidden=stage.spec["data"].get("hide_classes", ()), parent=parent, members=self._members(stage),
            came_from=came_from,
        )  # fmt: skip
        if made.network is None and stage.parent:  # a file made from a file: there is no network to count
            cost = read_json(self.workspace.model(stage.parent) / "report.json")["cost"]
            return found._replace(report=found.report | {"cost": cost_of_file(cost, found.report["layers"])})
        return found

    def _members(self, stage: Stage) -> np.ndarray | None:
        """The training images of the membership attack, as the model's own spec says: others may share it."""
        if stage.kind == "given" or self._of_unknown(stage):
            return None
        trained_on = self.shares.teacher if stage.spec.get("sees") == "teacher" else self.shares.labelled
        return members_of(self.dataset, self.shares.teacher, trained_on)

    def _of_unknown(self, stage: Stage) -> bool:
        """Whether a step that trains nothing was applied to a model whose training images are not known."""
        if stage.parent is None or "train" in stage.spec:
            return False
        return not (self.workspace.model(stage.parent) / "members.npz").is_file()

    def _parent_logits(self, stage: Stage) -> np.ndarray | None:
        """What the file that this one comes from says of the test images, (N, K)."""
        if not stage.parent:
            return None
        with np.load(self.workspace.model(stage.parent) / "logits.npz", allow_pickle=False) as logits:
            return logits["test"]

    def _describe(self, stage: Stage, made: Made) -> dict[str, Any]:
        """What the network is rebuilt from: its parent's document, the one that it came with, or a new one."""
        if stage.parent:
            return read_json(self.workspace.model(stage.parent) / "architecture.json")
        if made.brought and made.brought.described:
            return dict(made.brought.described)
        options = registry.validate("architecture", stage.spec["model"])
        dataset = self.dataset
        return models.describe(
            options, len(dataset.classes), dataset.shape, dataset.mean, dataset.std, network=made.network
        )

    def _training(self, stage: Stage, made: Made) -> dict[str, Any]:
        progress, spec = made.progress, stage.spec
        about = {"seconds": progress.seconds, "steps": progress.step}
        if made.network is None or not progress.step:
            return {**about, "images": 0, "work": 0}
        shape = self.dataset.shape
        images = progress.step * spec["train"]["batch_size"] // self.dataset.kind.in_one(shape)
        asked = sum(self._macs(key) for key in stage.asked)
        trained = [made.network, *(self._create(model) for model in spec.get("beside", ()))]
        work = 3 * sum(macs(one, shape) for one in trained) + asked
        about |= {"images": images, "work": images * work}
        rank = spec["train"].get("lora", 0)
        return about | ({"trainable": lora.trainable(made.network, rank)} if rank else {})

    def _macs(self, key: str) -> int:
        cost = read_json(self.workspace.model(key) / "report.json").get("cost") or {}
        return cost.get("macs") or 0


def builder_of(workspace: Workspace, recipe: Recipe, plan: Plan) -> Builder:
    """What builds the stages of a run: it holds the run's data."""
    dataset = load(recipe.data.source)
    return Builder(workspace, dataset, recipe.data, plan.files)


def _method(stage: Stage) -> Method[Any] | None:
    chosen = stage.spec.get("method")
    return method_of(registry.validate("method", chosen)) if chosen else None


def _heard(row: dict[str, Any]) -> None:
    """Of a history that has been passed on already."""


def _as_file(made: Made, scratch: Path) -> Made:
    """Where the network is a file's graph, the file alone."""
    network, outcome = made.network, made.outcome
    if not isinstance(network, GraphNetwork) or outcome is None:
        return made
    if outcome.onnx is None:
        path = scratch / "changed.onnx"
        path.write_bytes(network.graph().SerializeToString())
        outcome = outcome._replace(onnx=path)
    return made._replace(network=None, outcome=outcome)
