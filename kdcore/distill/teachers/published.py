"""A network of torchvision or timm by its name, with its published weights and its own classifier."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from kdcore import registry
from kdcore.data.types import Dataset
from kdcore.distill.source import FIELD, ExternalTeacher, Find, LoadedTeacher, Source
from kdcore.distill.teachers.weights_file import WeightsFileTeacher
from kdcore.distill.traits import TeacherTraits
from kdcore.models.published_file import LIBRARIES, NotPublished, fetched
from kdcore.problems import Problem, RecipeError
from kdcore.registry import Options, register


class Published(Options):
    """Options of a network by name; which one stands in teacher.model."""

    channels: Literal["as they are", "repeated"] = Field(
        "as they are", description="Repeated: grey images are repeated in the network's three channels."
    )
    anyway: bool = Field(
        False, title="Use anyway",
        description="Use it even if it is no better than chance on this data set's images.",
    )  # fmt: skip


@register(
    "teacher",
    "published",
    "A torchvision or timm network by its name, with its published ImageNet weights",
    options=Published,
    traits=TeacherTraits(stage="published weights", architecture=True),
)
class PublishedTeacher(Source[Published]):
    """A weights file made from the published one, with the outputs of this data set's classes, of ImageNet's 1000."""

    def given(self, architecture: Options, dataset: Dataset, find: Find) -> ExternalTeacher:
        name = registry.entry_of("architecture", architecture).name
        if name not in LIBRARIES:
            message = f"{name} has no published weights: choose {' or '.join(LIBRARIES)}, or give a weights file"
            raise RecipeError([Problem("teacher.model.architecture", message)])
        channels = 3 if self.options.channels == "repeated" else dataset.shape[0]
        try:
            path = fetched(architecture, dataset.classes, (channels, *dataset.shape[1:]))
        except NotPublished as error:
            raise RecipeError([Problem(FIELD, str(error))]) from None
        try:
            found = self._as_a_file(str(path)).given(architecture, dataset, find)
        except RecipeError as error:
            message = error.problems[0].message.replace(path.name, "the published network")
            raise RecipeError([Problem(FIELD, message)]) from None
        network: Any = architecture
        return replace(found, note=f"{name}'s {network.name} with its published weights, not trained here.")

    def bring(
        self, content: Path, architecture: Mapping[str, Any] | None, dataset: Dataset, scratch: Path
    ) -> LoadedTeacher:
        return self._as_a_file().bring(content, architecture, dataset, scratch)

    def _as_a_file(self, path: str = "") -> WeightsFileTeacher:
        asked = {"teacher": "weights_file", "path": path, **self.options.model_dump(include={"channels", "anyway"})}
        chosen: Any = registry.validate("teacher", asked)
        return WeightsFileTeacher(chosen)
