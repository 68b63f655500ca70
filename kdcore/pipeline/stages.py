"""Carrying out one stage: train, distil or compress, then export, evaluate and write the model."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from kdcore import machine, models, registry
from kdcore.compress.material import Material, Outcome
from kdcore.data.dataset import Dataset
from kdcore.data.splits import Split
from kdcore.data.views import random as views_are_random
from kdcore.distill.lessons.taught import Taught
from kdcore.distill.method import Method
from kdcore.distill.traits import trait
from kdcore.export import onnx_file, weights
from kdcore.measure.evaluate import evaluate
from kdcore.models.cost import macs
from kdcore.models.fold import folded
from kdcore.models.nets.several import Mean
from kdcore.pipeline import keys
from kdcore.pipeline.plan import Stage
from kdcore.pipeline.workspace import Workspace, read_json, replacing, write_json
from kdcore.recipe import Train
from kdcore.train.answers import Answers, ask_all
from kdcore.train.checkpoint import Progress
from kdcore.train.images import Images, pixels
from kdcore.train.images import images as training_images
from kdcore.train.lesson import Lesson
from kdcore.train.loop import Task, fit

VERIFIED_IMAGES = 64

Check = Callable[[], None]
Epoch = Callable[[dict[str, Any]], None]
Phase = Callable[[str], None]


class Builder:
    """Builds the models of one run: holds its data on the device and what its stages share."""

    def __init__(self, workspace: Workspace, dataset: Dataset, shares: Split, hidden: tuple[str, ...]):
        self.workspace, self.dataset, self.shares, self.hidden = workspace, dataset, shares, hidden
        self.device = torch.device(machine.device())
        self.answers = Answers()
        self._network = lru_cache(maxsize=4)(self._load)
        torch.set_num_threads(machine.threads())
        if self.device.type == "cuda":
            torch.backends.cudnn.benchmark = True

    def build(self, stage: Stage, *, on_epoch: Epoch, on_phase: Phase, check: Check) -> None:
        """Leaves the whole model of `stage` in the workspace. Its inputs must be complete.

        Goes on from the stage's checkpoint where there is one. Raises what training, compression or
        export raise, and whatever `check` raises.
        """
        folder = self.workspace.model(stage.key)
        network, outcome, progress = self._carry_out(stage, folder, on_epoch, on_phase, check)
        check()
        network.to("cpu").to(memory_format=torch.contiguous_format).eval()
        on_phase("exporting to ONNX")
        exported = self._export(network, outcome, folder)
        check()
        on_phase("evaluating")
        self._finish(stage, folder, network, exported, outcome, progress)

    def _carry_out(
        self, stage: Stage, folder: Path, on_epoch: Epoch, on_phase: Phase, check: Check
    ) -> tuple[nn.Module, Outcome | None, Progress]:
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
                network = method.begin(network, self._plain(stage.teacher) if stage.teacher else None)
        progress = Progress()
        if "train" in stage.spec:
            on_phase("training")
            task = self._task(stage, method, outcome)
            progress = fit(network, task, folder, on_epoch=on_epoch, check=check)
        return network, outcome, progress

    def _create(self, model: dict[str, Any]) -> nn.Module:
        options = registry.validate("architecture", model)
        dataset = self.dataset
        return models.create(options, len(dataset.classes), dataset.shape, dataset.mean, dataset.std)

    def _compress(self, stage: Stage, folder: Path) -> Outcome:
        assert stage.parent
        options = registry.validate("step", stage.spec["step"])
        parent = self.workspace.model(stage.parent)
        scratch = folder / "scratch"
        scratch.mkdir(parents=True, exist_ok=True)
        images = pixels(self.dataset.train_images[self.shares.seen]).float().div_(255)
        torch.manual_seed(stage.seed)
        material = Material(
            weights.load(parent), parent / "model.onnx", images, self.dataset.shape, scratch, stage.seed
        )
        return registry.entry_of("step", options).implementation(material, options)

    def _task(self, stage: Stage, method: Method[Any] | None, outcome: Outcome | None) -> Task:
        spec = stage.spec
        train = Train.model_validate({**spec["train"], "precision": spec["precision"]})
        sees = spec.get("sees", "seen")
        indices = getattr(self.shares, sees)
        validation = self.shares.validation
        if sees != "teacher" and self.hidden:
            shown = np.isin(self.dataset.train_labels[validation], self._hidden_indices(), invert=True)
            validation = validation[shown]
        images = training_images(self.dataset.train_images, indices, self.device)
        return Task(
            images=images,
            targets=self._targets(indices, self.shares.teacher if sees == "teacher" else self.shares.labelled),
            validation=(
                pixels(self.dataset.train_images[validation], self.device),
                torch.from_numpy(self.dataset.train_labels[validation]).to(self.device),
            ),
            train=train,
            steps=spec["train"]["steps"],
            precision=spec["precision"],
            seed=stage.seed,
            lesson=self._lesson(stage, method, train, images) if method else Lesson(),
            constrain=outcome.constrain if outcome else None,
        )

    def _lesson(self, stage: Stage, method: Method[Any], train: Train, images: Images) -> Lesson:
        spec = stage.spec
        if "beside" in spec:
            scheme = registry.validate("scheme", spec["scheme"])
            made = [self._create(model) for model in spec["beside"]]
            return registry.entry_of("scheme", scheme).implementation(scheme).lesson(method, made)
        if not stage.teacher:
            return Taught(method, None)
        teacher = self._teacher(stage, plain=trait(method.options, "taps", False))
        asked = [stage.teacher, *stage.others, spec.get("weights"), spec["data"], spec.get("sees"), spec["precision"]]
        views = (
            {}
            if views_are_random(train.views)
            else {"table": self._table(teacher, keys.canonical(asked), images, spec)}
        )
        stream = keys.canonical([*asked, train.views.model_dump(), train.batch_size, stage.seed])
        return Taught(method, teacher, self.answers, stream, **views)

    def _teacher(self, stage: Stage, plain: bool) -> nn.Module:
        """Who is asked: the teacher, or several as one; plain where its features are wanted, else folded."""
        assert stage.teacher
        if plain and not stage.others:
            return _asked(self._plain(stage.teacher), self.device)
        teachers = [self._network(key) for key in (stage.teacher, *stage.others)]
        return Mean(teachers, stage.spec["weights"]).eval() if stage.others else teachers[0]

    def _table(self, teacher: nn.Module, name: str, images: Images, spec: dict[str, Any]) -> Callable[[], torch.Tensor]:
        """What the teacher says of every image, once: each always looks the same, so the answers stay legal."""

        def table() -> torch.Tensor:
            known = self.answers.known(name)
            if known is None:
                known = ask_all(teacher, images, spec["precision"])
                self.answers.keep(name, known)
            return known

        return table

    def _method(self, spec: dict[str, Any]) -> Method[Any] | None:
        if "method" not in spec:
            return None
        options = registry.validate("method", spec["method"])
        return registry.entry_of("method", options).implementation(options)

    def _hidden_indices(self) -> list[int]:
        return [self.dataset.classes.index(name) for name in self.hidden]

    def _targets(self, indices: np.ndarray, labelled: np.ndarray) -> torch.Tensor:
        targets = np.zeros((len(indices), len(self.dataset.classes)), dtype=np.float32)
        rows = np.flatnonzero(np.isin(indices, labelled))
        targets[rows, self.dataset.train_labels[indices[rows]]] = 1
        return torch.from_numpy(targets).to(self.device)

    def _load(self, key: str) -> nn.Module:
        network = self._plain(key)
        return _asked(folded(network) or network, self.device)  # it is only ever asked

    def _plain(self, key: str) -> nn.Module:
        return weights.load(self.workspace.model(key)).eval()

    def _export(self, network: nn.Module, outcome: Outcome | None, folder: Path) -> dict[str, Any]:
        target = folder / "model.onnx"
        if outcome and outcome.onnx:
            with replacing(target) as temporary:
                shutil.copyfile(outcome.onnx, temporary)
            return {}
        images = self.dataset.test_images[:VERIFIED_IMAGES].transpose(0, 3, 1, 2).astype(np.float32) / 255
        with replacing(target) as temporary:
            return onnx_file.export(
                network, self.dataset.shape, temporary, images=images, cache=self.workspace.cache / "onnx"
            )

    def _finish(
        self,
        stage: Stage,
        folder: Path,
        network: nn.Module,
        exported: dict[str, Any],
        outcome: Outcome | None,
        progress: Progress,
    ) -> None:
        measured = evaluate(folder / "model.onnx", network, self.dataset, self.shares, hidden=self.hidden)
        origin = read_json(self.workspace.model(stage.parent) / "architecture.json") if stage.parent else None
        weights.save(folder, network, origin or self._describe(stage, network))
        with replacing(folder / "logits.npz") as temporary, temporary.open("wb") as file:
            np.savez(file, test=measured.logits["test"], validation=measured.logits["validation"])
        report = {
            **measured.report,
            "export": exported,
            "step": outcome.report if outcome else [],
            "train": self._training(stage, network, progress),
            "environment": machine.describe() | {"device": str(self.device)},
        }
        write_json(folder / "report.json", report)
        for leftover in ("checkpoint", "scratch"):
            shutil.rmtree(folder / leftover, ignore_errors=True)
        write_json(folder / "done.json", {"stage": stage.model_dump(mode="json"), "finished": time.time()})

    def _describe(self, stage: Stage, network: nn.Module) -> dict[str, Any]:
        options = registry.validate("architecture", stage.spec["model"])
        dataset = self.dataset
        return models.describe(options, len(dataset.classes), dataset.shape, dataset.mean, dataset.std)

    def _training(self, stage: Stage, network: nn.Module, progress: Progress) -> dict[str, Any]:
        spec = stage.spec
        images = progress.step * spec["train"]["batch_size"] if progress.step else 0
        asked = [self._plain(key) for key in (stage.teacher, *stage.others) if key and "method" in spec]
        trained = [network, *(self._create(model) for model in spec.get("beside", ()))]
        shape = self.dataset.shape
        work = 3 * sum(macs(one, shape) for one in trained) + sum(macs(one, shape) for one in asked)
        return {"seconds": progress.seconds, "steps": progress.step, "images": images, "work": images * work}


def _asked(network: nn.Module, device: torch.device) -> nn.Module:
    return network.to(device).to(memory_format=torch.channels_last).eval().requires_grad_(False)
