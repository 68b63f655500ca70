"""What a stage works with: images and labels on a device, made into training tasks, steps' inputs and files.

`Builder` makes a run's stages of it, and `kdcore.notebook` what a person asks for in Python.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from kdcore import registry
from kdcore.compress.step import StepInput, StepResult
from kdcore.data.labelling import MANY_LABELS, ONE_LABEL, Labelling
from kdcore.data.splits import Split
from kdcore.data.types import Dataset
from kdcore.distill.method import Method
from kdcore.distill.source import LoadedTeacher
from kdcore.export import onnx_file
from kdcore.files import replacing
from kdcore.inputs import Held
from kdcore.inputs.kind import Items
from kdcore.models.fold import folded
from kdcore.recipe import Train
from kdcore.registry import Options
from kdcore.train.checkpoint import Progress
from kdcore.train.loop import Task
from kdcore.train.objective import Objective

VERIFIED_IMAGES = 64


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

    def finished(self) -> Made:
        """After the fine-tuning: with what the step leaves for then done, on the CPU in evaluation mode."""
        if self.outcome and self.outcome.finish and self.network is not None:
            outcome = self.outcome.finish(settled(self.network))
            return self._replace(network=outcome.network, outcome=outcome)
        return self


@dataclass(frozen=True)
class Material:
    """The images of a run on the device that trains, and who sees which; `hidden`: classes hidden from the student."""

    dataset: Dataset
    shares: Split
    device: torch.device
    hidden: tuple[str, ...] = ()

    @property
    def labelling(self) -> Labelling:
        return MANY_LABELS if self.dataset.multilabel else ONE_LABEL

    def images(self, sees: str = "seen") -> Held:
        """The training images of a share."""
        return self.dataset.kind.hold(self.dataset.train_images, getattr(self.shares, sees), self.device)

    def task(
        self, images: Held, train: Train, steps: int, lesson: Objective, seed: int, *,
        sees: str = "seen", outcome: StepResult | None = None, rate: str = "train.learning_rate",
    ) -> Task:  # fmt: skip
        """What the loop does to learn `lesson` from `images`, those of the share `sees`; `outcome`: of the step."""
        indices = getattr(self.shares, sees)
        validation = self.shares.validation
        if sees != "teacher" and self.hidden:
            hidden = [self.dataset.classes.index(name) for name in self.hidden]
            validation = validation[np.isin(self.dataset.train_labels[validation], hidden, invert=True)]
        lesson.labelling = self.labelling
        return Task(
            images=images,
            targets=self.targets(indices, self.shares.teacher if sees == "teacher" else self.shares.labelled),
            validation=self._judged(self.dataset.train_images[validation], self.dataset.train_labels[validation]),
            test=self._judged(self.dataset.test_images, self.dataset.test_labels) if train.test_curve else None,
            train=train,
            steps=steps,
            precision=train.precision,
            seed=seed,
            lesson=lesson,
            constrain=outcome.constrain if outcome else None,
            rate=rate,
        )

    def compressed(self, step: Options, network: nn.Module, onnx: Path, scratch: Path, seed: int) -> StepResult:
        """What the step makes of the network and its file, with files of its own in `scratch`. Raises CompressError."""
        scratch.mkdir(parents=True, exist_ok=True)
        kind = self.dataset.kind
        images = kind.ready(kind.tensor(self.dataset.train_images[self.shares.seen]))
        torch.manual_seed(seed)
        material = StepInput(
            network, onnx, images, self.dataset.shape, scratch, seed,
            self.targets(self.shares.seen, self.shares.labelled).cpu(), self.labelling,
            kind.unknown(self.dataset.train_images),
        )  # fmt: skip
        outcome: StepResult = registry.entry_of("step", step).implementation(material, step)
        return outcome

    def export(self, made: Made, folder: Path, cache: Path | None = None) -> dict[str, Any]:
        """Leaves `model.onnx` in the folder, and the step's own files; what the verification says, of an export."""
        target = folder / "model.onnx"
        for file in made.outcome.files if made.outcome else ():
            with replacing(folder / file.name) as temporary:
                shutil.copyfile(file, temporary)
        if made.onnx:
            with replacing(target) as temporary:
                shutil.copyfile(made.onnx, temporary)
            return {}
        if made.network is None:
            return {}
        images = self.dataset.kind.samples(self.dataset.test_images[:VERIFIED_IMAGES])
        with replacing(target) as temporary:
            return onnx_file.export(made.network, self.dataset.shape, temporary, images=images, cache=cache)

    def targets(self, indices: np.ndarray, labelled: np.ndarray) -> torch.Tensor:
        """What is known of the training images `indices`, as a Task has it; `labelled`: those whose labels are."""
        labels, shape = self.dataset.train_labels, (len(indices), len(self.dataset.classes))
        rows = np.flatnonzero(np.isin(indices, labelled))
        if self.dataset.multilabel:
            targets = np.full(shape, np.nan, dtype=np.float32)
            targets[rows] = labels[indices[rows]]
        else:
            targets = np.zeros(shape, dtype=np.float32)
            targets[rows, labels[indices[rows]]] = 1
        return torch.from_numpy(targets).to(self.device)

    def _judged(self, images: Items, labels: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        return self.dataset.kind.tensor(images, self.device), torch.from_numpy(np.array(labels)).to(self.device)


def method_of(options: Options) -> Method[Any]:
    """The method that these options choose."""
    made: Method[Any] = registry.entry_of("method", options).implementation(options)
    return made


def settled(network: nn.Module) -> nn.Module:
    """The network itself, as it is exported: on the CPU, in evaluation mode."""
    return network.to("cpu").to(memory_format=torch.contiguous_format).eval()


def answering(network: nn.Module, device: torch.device, *, whole: bool) -> nn.Module:
    """A network that only answers, on `device`, without gradients: folded, unless its features are wanted (`whole`)."""
    asked = network if whole else folded(network) or network
    return asked.to(device).to(memory_format=torch.channels_last).eval().requires_grad_(False)
