"""Carrying out one stage: train, distil, compress or take in a teacher, then export, evaluate and write the model."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from kdcore import machine, models, registry
from kdcore.compress.step import StepInput, StepResult
from kdcore.data.dataset import load
from kdcore.data.labelling import MANY_LABELS, ONE_LABEL, Labelling
from kdcore.data.splits import Split, split
from kdcore.data.types import Dataset
from kdcore.distill.method import Method
from kdcore.distill.source import LoadedTeacher
from kdcore.execute.teachers import Teachers
from kdcore.export import onnx_file, weights
from kdcore.files import read_json, replacing, write_json
from kdcore.measure.evaluate import Evaluation, evaluate, evaluate_answers
from kdcore.measure.privacy import members_of
from kdcore.models.cost import macs
from kdcore.recipe import Recipe, Train
from kdcore.train.checkpoint import Progress
from kdcore.train.images import Images, pixels
from kdcore.train.images import images as training_images
from kdcore.train.loop import Task, fit
from kdcore.train.objective import Objective
from kdcore.workspace.integrity import DONE, LEFTOVERS, inventory
from kdcore.workspace.library import ANSWERS
from kdcore.workspace.plans import Plan, Stage
from kdcore.workspace.workspace import Workspace

VERIFIED_IMAGES = 64

Check = Callable[[], None]
Epoch = Callable[[dict[str, Any]], None]
Phase = Callable[[str], None]


class Made(NamedTuple):
    """What a stage has before it is measured. `network`: None where there is only a file, or answers."""

    network: nn.Module | None
    outcome: StepResult | None = None
    progress: Progress = Progress()
    brought: LoadedTeacher | None = None

    @property
    def onnx(self) -> Path | None:
        """The file to deploy, where it is not the network's export."""
        return self.outcome.onnx if self.outcome else self.brought.onnx if self.brought else None


class Builder:
    """Builds the models of one run: holds its data on the device and what its stages share.

    `files`: where the content of given teachers is, as the plan says.
    """

    def __init__(
        self,
        workspace: Workspace,
        dataset: Dataset,
        shares: Split,
        hidden: tuple[str, ...],
        files: Mapping[str, str] = {},
    ):
        self.workspace, self.dataset, self.shares, self.hidden = workspace, dataset, shares, hidden
        self.device = torch.device(machine.device())
        self.teachers = Teachers(workspace, dataset, shares, files, self.device)
        torch.set_num_threads(machine.threads())
        if self.device.type == "cuda":
            torch.backends.cudnn.benchmark = True

    def build(self, stage: Stage, *, on_epoch: Epoch, on_phase: Phase, check: Check) -> None:
        """Leaves the whole model of `stage` in the workspace. Its inputs must be complete.

        Goes on from the stage's checkpoint where there is one. Raises what training, compression or
        export raise, and whatever `check` raises.
        """
        folder = self.workspace.model(stage.key)
        if stage.kind == "given":
            on_phase("importing the teacher")
            brought = self.teachers.bring(stage, folder / "scratch")
            made = Made(brought.network, brought=brought)
        else:
            made = self._carry_out(stage, folder, on_epoch, on_phase, check)
        check()
        if made.network is not None:
            made.network.to("cpu").to(memory_format=torch.contiguous_format).eval()
        on_phase("exporting to ONNX")
        exported = self._export(made, folder)
        check()
        on_phase("evaluating")
        self._finish(stage, folder, made, exported)

    def _carry_out(self, stage: Stage, folder: Path, on_epoch: Epoch, on_phase: Phase, check: Check) -> Made:
        outcome = None
        method = self._method(stage.spec)
        if stage.kind == "compress":
            on_phase("compressing")
            outcome = self._compress(stage, folder)
            network = outcome.network
        else:
            torch.manual_seed(stage.seed)
            network = self._create(stage.spec["model"])
            if method:
                network = method.begin(network, self.teachers.load(stage.teacher) if stage.teacher else None)
        progress = Progress()
        if "train" in stage.spec:
            on_phase("training")
            task = self._task(stage, method, outcome)
            progress = fit(network, task, folder, on_epoch=on_epoch, check=check)
        if outcome and outcome.finish:
            on_phase("finishing")
            outcome = outcome.finish(network.to("cpu").to(memory_format=torch.contiguous_format).eval())
            network = outcome.network
        return Made(network, outcome, progress)

    def _create(self, model: dict[str, Any]) -> nn.Module:
        options = registry.validate("architecture", model)
        dataset = self.dataset
        return models.create(options, len(dataset.classes), dataset.shape, dataset.mean, dataset.std)

    def _compress(self, stage: Stage, folder: Path) -> StepResult:
        assert stage.parent
        options = registry.validate("step", stage.spec["step"])
        parent = self.workspace.model(stage.parent)
        scratch = folder / "scratch"
        scratch.mkdir(parents=True, exist_ok=True)
        images = pixels(self.dataset.train_images[self.shares.seen]).float().div_(255)
        torch.manual_seed(stage.seed)
        material = StepInput(
            weights.load(parent), parent / "model.onnx", images, self.dataset.shape, scratch, stage.seed,
            self._targets(self.shares.seen, self.shares.labelled).cpu(), self._labelling(),
        )  # fmt: skip
        return registry.entry_of("step", options).implementation(material, options)

    def _task(self, stage: Stage, method: Method[Any] | None, outcome: StepResult | None) -> Task:
        spec = stage.spec
        train = Train.model_validate({**spec["train"], "precision": spec["precision"]})
        sees = spec.get("sees", "seen")
        indices = getattr(self.shares, sees)
        validation = self.shares.validation
        if sees != "teacher" and self.hidden:
            shown = np.isin(self.dataset.train_labels[validation], self._hidden_indices(), invert=True)
            validation = validation[shown]
        images = training_images(self.dataset.train_images, indices, self.device)
        lesson = self._lesson(stage, method, train, images) if method else Objective()
        lesson.labelling = self._labelling()
        return Task(
            images=images,
            targets=self._targets(indices, self.shares.teacher if sees == "teacher" else self.shares.labelled),
            validation=self._judged(self.dataset.train_images[validation], self.dataset.train_labels[validation]),
            test=self._judged(self.dataset.test_images, self.dataset.test_labels) if train.test_curve else None,
            train=train,
            steps=spec["train"]["steps"],
            precision=spec["precision"],
            seed=stage.seed,
            lesson=lesson,
            constrain=outcome.constrain if outcome else None,
            rate="finetune.learning_rate" if outcome else "train.learning_rate",
        )

    def _judged(self, images: np.ndarray, labels: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        return pixels(images, self.device), torch.from_numpy(np.array(labels)).to(self.device)

    def _lesson(self, stage: Stage, method: Method[Any], train: Train, images: Images) -> Objective:
        spec = stage.spec
        if "beside" in spec:
            scheme = registry.validate("scheme", spec["scheme"])
            made = [self._create(model) for model in spec["beside"]]
            return registry.entry_of("scheme", scheme).implementation(scheme).lesson(method, made)
        return self.teachers.lesson(stage, method, train, images)

    def _method(self, spec: dict[str, Any]) -> Method[Any] | None:
        if "method" not in spec:
            return None
        options = registry.validate("method", spec["method"])
        return registry.entry_of("method", options).implementation(options)

    def _hidden_indices(self) -> list[int]:
        return [self.dataset.classes.index(name) for name in self.hidden]

    def _labelling(self) -> Labelling:
        return MANY_LABELS if self.dataset.multilabel else ONE_LABEL

    def _targets(self, indices: np.ndarray, labelled: np.ndarray) -> torch.Tensor:
        labels, shape = self.dataset.train_labels, (len(indices), len(self.dataset.classes))
        rows = np.flatnonzero(np.isin(indices, labelled))
        if self.dataset.multilabel:
            targets = np.full(shape, np.nan, dtype=np.float32)
            targets[rows] = labels[indices[rows]]
        else:
            targets = np.zeros(shape, dtype=np.float32)
            targets[rows, labels[indices[rows]]] = 1
        return torch.from_numpy(targets).to(self.device)

    def _export(self, made: Made, folder: Path) -> dict[str, Any]:
        target, network = folder / "model.onnx", made.network
        for file in made.outcome.files if made.outcome else ():
            with replacing(folder / file.name) as temporary:
                shutil.copyfile(file, temporary)
        if made.onnx:
            with replacing(target) as temporary:
                shutil.copyfile(made.onnx, temporary)
            return {}
        if network is None:
            return {}
        images = self.dataset.test_images[:VERIFIED_IMAGES].transpose(0, 3, 1, 2).astype(np.float32) / 255
        with replacing(target) as temporary:
            return onnx_file.export(
                network, self.dataset.shape, temporary, images=images, cache=self.workspace.cache / "onnx"
            )

    def _finish(self, stage: Stage, folder: Path, made: Made, exported: dict[str, Any]) -> None:
        measured = self._measured(stage, folder, made)
        if made.network is not None:
            weights.save(folder, made.network, self._describe(stage, made))
        if made.brought and made.brought.answers:
            _keep(folder / ANSWERS, train=made.brought.answers["train"])
        _keep(folder / "logits.npz", **measured.logits)
        if measured.members:
            _keep(folder / "members.npz", **measured.members._asdict())
        dataset = self.dataset
        report = {
            **measured.report,
            **(made.brought.report if made.brought else {}),
            "export": exported,
            "step": made.outcome.report if made.outcome else [],
            "train": self._training(stage, made),
            "environment": machine.describe() | {"device": str(self.device)},
        }
        write_json(folder / "report.json", report)
        about = {"fingerprint": dataset.fingerprint, "classes": list(dataset.classes), "shape": list(dataset.shape)}
        done = {"stage": stage.model_dump(mode="json"), "dataset": about, "finished": time.time()}
        write_json(folder / DONE, done | {"files": inventory(folder)})
        for leftover in LEFTOVERS:  # only now: what is killed before goes on from the checkpoint
            shutil.rmtree(folder / leftover, ignore_errors=True)

    def _measured(self, stage: Stage, folder: Path, made: Made) -> Evaluation:
        if made.brought and made.brought.answers:
            return evaluate_answers(made.brought.answers, self.dataset, self.shares)
        parent = self._parent_logits(stage) if self.dataset.multilabel else None
        came_from = self.workspace.model(stage.parent) / "model.onnx" if stage.parent else None
        return evaluate(
            folder / "model.onnx", made.network, self.dataset, self.shares,
            hidden=stage.spec["data"].get("hide_classes", ()), parent=parent, members=self._members(stage),
            came_from=came_from,
        )  # fmt: skip

    def _members(self, stage: Stage) -> np.ndarray | None:
        """The training images of the membership attack, as the model's own spec says: others may share it."""
        if stage.kind == "given":
            return None
        trained_on = self.shares.teacher if stage.spec.get("sees") == "teacher" else self.shares.labelled
        return members_of(self.dataset, self.shares.teacher, trained_on)

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
        images = progress.step * spec["train"]["batch_size"]
        shape = self.dataset.shape
        asked = sum(self._macs(key) for key in stage.asked)
        trained = [made.network, *(self._create(model) for model in spec.get("beside", ()))]
        work = 3 * sum(macs(one, shape) for one in trained) + asked
        return {**about, "images": images, "work": images * work}

    def _macs(self, key: str) -> int:
        cost = read_json(self.workspace.model(key) / "report.json").get("cost") or {}
        return cost.get("macs") or 0


def builder_of(workspace: Workspace, recipe: Recipe, plan: Plan) -> Builder:
    """What builds the stages of a run: it holds the run's data."""
    dataset = load(recipe.data.source)
    return Builder(workspace, dataset, split(dataset, recipe.data), recipe.data.hide_classes, plan.files)


def _keep(path: Path, **arrays: Any) -> None:
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)
