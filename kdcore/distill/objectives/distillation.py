"""The lesson of a student whose teacher is there already."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from kdcore.distill.method import Method, StepInputs, Taps
from kdcore.inputs.kind import tokens
from kdcore.train.features import Capture
from kdcore.train.logit_cache import LogitCache
from kdcore.train.objective import Batch, Objective
from kdcore.train.precision import autocast, frozen

Table = Callable[[], torch.Tensor]


class DistillationObjective(Objective):
    """Learning from a teacher, as `method` says.

    `teacher`: in evaluation mode, on the student's device; None for a method that asks none. `answers`
    keep what it says of a `stream` of views. `table`: gives the teacher's logits (N, K) for all training
    images, where each image always looks the same; they are then looked up, and the teacher is not asked again.
    """

    def __init__(
        self,
        method: Method[Any],
        teacher: nn.Module | None,
        answers: LogitCache | None = None,
        stream: Any = None,
        table: Table | None = None,
    ):
        self.method, self.teacher = method, teacher
        self.answers, self.stream, self.table = answers or LogitCache(), stream, table
        self._looked_up: torch.Tensor | None = None

    def prepare(self, network: nn.Module, example: Batch, images: int, precision: str) -> None:
        super().prepare(network, example, images, precision)
        taps = self.method.taps(network, self.teacher) if self.teacher is not None else Taps()
        self._student = Capture(network, taps.student)
        self._asked = frozen(self.teacher, precision) if self.teacher is not None else None
        self._features = Capture(self._asked, taps.teacher) if self._asked is not None and taps.teacher else None
        if self.table and not self._features and self.teacher is not None:
            self._looked_up = self.table()
        with torch.no_grad():
            seen, _ = self._look(network, example)
        self.companions = self.method.prepare(network, self.teacher, seen, images) or nn.Module()

    def loss(self, network: nn.Module, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        seen, logits = self._look(network, batch)
        return torch.stack(list(self.method.loss(seen).values())).sum(), logits

    def close(self) -> None:
        for capture in filter(None, (self._student, self._features)):
            capture.remove()

    def _look(self, network: nn.Module, batch: Batch) -> tuple[StepInputs, torch.Tensor]:
        logits = self.logits(network, batch.images)
        asked, features = self._ask(batch, logits)
        seen = StepInputs(
            logits, asked, batch.targets,
            student_features=self._features_of(self._student, batch), teacher_features=features,
            indices=batch.indices, step=batch.step, steps=batch.steps, seed=batch.seed, labelling=self.labelling,
            known=tokens(batch.images), shown=batch.images,
        )  # fmt: skip
        return seen, logits

    def _ask(self, batch: Batch, logits: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        if self._asked is None:
            return logits.new_empty(0, logits.shape[1]), {}
        if self._looked_up is not None:
            return self._looked_up[batch.indices], {}
        asked = partial(self.team.answers, self._asked)
        with torch.no_grad(), autocast(batch.images.device, self.precision):
            if self._features:
                return asked(batch.images).float(), self._features_of(self._features, batch)
            name = (self.stream, len(batch.images))  # an example of two images is not the step's batch
            return self.answers.ask(asked, name, batch.step, batch.images), {}

    def _features_of(self, watching: Capture, batch: Batch) -> dict[str, torch.Tensor]:
        return {tap: self.team.whole(found, len(batch.images)) for tap, found in watching.take().items()}
