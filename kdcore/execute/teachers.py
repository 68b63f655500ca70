"""The teachers of a run's stages: taken in from files, loaded once, and made the lesson that the student learns."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from kdcore import registry
from kdcore.data.splits import Split
from kdcore.data.types import Dataset
from kdcore.distill.method import Method
from kdcore.distill.objectives.distillation import DistillationObjective
from kdcore.distill.source import LoadedTeacher, copied
from kdcore.distill.traits import TeacherTraits, taps_teacher
from kdcore.execute.file_teachers import OnnxTeacher, RecordedLogits, check_answers, recorded
from kdcore.execute.material import answering
from kdcore.export import weights
from kdcore.inputs import Held
from kdcore.inputs.augmentation import random as views_are_random
from kdcore.models.nets.several import Mean
from kdcore.recipe import Train
from kdcore.train.logit_cache import LogitCache, ask_all
from kdcore.workspace import keys
from kdcore.workspace.library import gives
from kdcore.workspace.plans import Stage
from kdcore.workspace.workspace import Workspace


class GoneTeacher(LookupError):
    """The model that should teach has been removed since the run was planned."""


class Teachers:
    """The models of the workspace as teachers on `device`, and what they answered so far.

    `files`: where the content of given teachers is, as the plan says.
    """

    def __init__(
        self, workspace: Workspace, dataset: Dataset, shares: Split, files: Mapping[str, str], device: torch.device
    ):
        self.workspace, self.dataset, self.shares, self.files, self.device = workspace, dataset, shares, files, device
        self.answers = LogitCache()
        self._answering = lru_cache(maxsize=4)(self._load)

    def bring(self, stage: Stage, scratch: Path) -> LoadedTeacher:
        """The teacher of a "given" stage, with `scratch` for files of its own.

        Raises ChangedFile, GoneTeacher, NotFinite, and what its source raises; `scratch` is removed then.
        """
        spec, content = stage.spec, stage.spec["content"]
        entry = registry.entry("teacher", spec["teacher"])
        model = TeacherTraits.named(spec["teacher"]).model  # of the workspace, else a file
        if model and (content == stage.key or not self.workspace.complete(content)):
            raise GoneTeacher(f"the teacher, model {content[:12]}, is no longer in the workspace: start a new run")
        chosen = {name: spec[name] for name in entry.options.model_fields if name in spec}
        place = Path(self.files[content])
        scratch.mkdir(parents=True, exist_ok=True)
        try:
            place = place if model else copied(place, content, scratch)
            source = entry.implementation(entry.options.model_validate(chosen))
            brought = source.bring(place, spec.get("model"), self.dataset, scratch)
            self._check(brought)
        except Exception:
            shutil.rmtree(scratch, ignore_errors=True)
            raise
        return brought

    def _check(self, brought: LoadedTeacher) -> None:
        network = OnnxTeacher(brought.onnx) if brought.onnx else brought.network
        if network is not None:
            check_answers(network, self.dataset.train_images, self.dataset.kind)

    def load(self, key: str) -> nn.Module:
        """A finished model on the CPU, its layers as they are; in the place of one without a network, its answers."""
        folder = self.workspace.model(key)
        kind = gives(folder)
        if kind == "features":
            return weights.load(folder).eval()
        return OnnxTeacher(folder / "model.onnx") if kind == "answers" else RecordedLogits()

    def lesson(self, stage: Stage, method: Method[Any], train: Train, images: Held) -> DistillationObjective:
        """What the student of `stage` learns from its teachers, as `method` says. `images`: what it is shown."""
        if not stage.teacher or not stage.asked:
            return DistillationObjective(method, None)
        spec, folder = stage.spec, self.workspace.model(stage.teacher)
        sees = spec.get("sees", "seen")  # fine-tuning shows what the student has seen
        if gives(folder) == "table":
            rows = recorded(folder, getattr(self.shares, sees)).to(self.device)
            return DistillationObjective(method, RecordedLogits(), table=lambda: rows)
        teacher = self._teacher(stage, plain=taps_teacher(method.options))
        question = [stage.teacher, *stage.others, spec.get("weights"), spec["data"], sees, spec["precision"]]
        table = None if views_are_random(train.views) else self._table(teacher, keys.canonical(question), images, spec)
        stream = keys.canonical([*question, train.views.model_dump(), train.batch_size, stage.seed])
        return DistillationObjective(method, teacher, self.answers, stream, table)

    def _teacher(self, stage: Stage, plain: bool) -> nn.Module:
        """The teacher that answers, or several as one; plain where its features are wanted, else folded."""
        assert stage.teacher
        if plain and not stage.others:
            return answering(self.load(stage.teacher), self.device, whole=True)
        teachers = [self._answering(key) for key in (stage.teacher, *stage.others)]
        return Mean(teachers, stage.spec["weights"]).eval() if stage.others else teachers[0]

    def _load(self, key: str) -> nn.Module:
        network = self.load(key)
        return answering(network, self.device, whole=isinstance(network, OnnxTeacher | RecordedLogits))

    def _table(self, teacher: nn.Module, name: str, images: Held, spec: dict[str, Any]) -> Callable[[], torch.Tensor]:
        """The teacher's logits for all images, computed once: each image always looks the same, so they stay right."""

        def table() -> torch.Tensor:
            known = self.answers.known(name)
            if known is None:
                known = ask_all(teacher, images, spec["precision"])
                self.answers.keep(name, known)
            return known

        return table
