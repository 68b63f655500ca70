"""A teacher out of an uploaded weights file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from kdcore import models, registry
from kdcore.data.types import Dataset
from kdcore.distill.source import ExternalTeacher, Find, LoadedTeacher, Source, file_at, refuse
from kdcore.distill.traits import TeacherTraits
from kdcore.registry import Options, register

MOST_BYTES = 2**31
SUFFIXES = (".safetensors", ".pt", ".pth")
WHAT = f"a weights file ({', '.join(SUFFIXES)}) of the architecture in teacher.model"


class WeightsFile(Options):
    """Options of a weights file."""

    path: str = Field(
        "", max_length=1000, description=f"Where {WHAT} is on this machine. A .pt must hold tensors alone."
    )


@register(
    "teacher",
    "weights_file",
    "A weights file of an architecture that is known here",
    options=WeightsFile,
    traits=TeacherTraits(stage="weights file", architecture=True, uploaded=True),
)
class WeightsFileTeacher(Source[WeightsFile]):
    """The architecture with the file's weights: exported and measured like a network that was trained here."""

    def given(self, architecture: Options, dataset: Dataset, find: Find) -> ExternalTeacher:
        from kdcore.models.upload import UploadError, kind_of

        place, content = file_at(self.options.path, WHAT, MOST_BYTES)
        if place.suffix.lower() not in SUFFIXES:
            refuse("path", f"{place.name} is no weights file; {', '.join(SUFFIXES)} are accepted")
        try:
            kind_of(place)
        except UploadError as error:
            refuse("path", f"{place.name} cannot teach: {error}")
        model = architecture.model_dump(mode="json")
        return ExternalTeacher(
            content, place, "features", spec={"model": model}, architecture=model,
            note=f"Weights from {place.name}, not trained here.",
        )  # fmt: skip

    def bring(
        self, content: Path, architecture: Mapping[str, Any] | None, dataset: Dataset, scratch: Path
    ) -> LoadedTeacher:
        from kdcore.models.upload import read

        options = registry.validate("architecture", architecture)
        document = models.describe(options, len(dataset.classes), dataset.shape, dataset.mean, dataset.std)
        return LoadedTeacher(network=read(content, document))
