"""A teacher that is not there: its answers in a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from kdcore.data.types import Dataset
from kdcore.distill import softlabels
from kdcore.distill.source import ExternalTeacher, Find, LoadedTeacher, Source, file_at, refuse
from kdcore.distill.traits import TeacherTraits
from kdcore.registry import Options, register

MOST_BYTES = 2**33
WHAT = "a soft-label file (.npz), as `python -m kdcore soften` writes it"


class SoftLabelFile(Options):
    """Options of a soft-label file."""

    path: str = Field("", max_length=1000, description=f"Path of {WHAT} on this machine.")


@register(
    "teacher",
    "soft_labels",
    "A file of soft labels from any teacher; the teacher itself is not needed",
    options=SoftLabelFile,
    traits=TeacherTraits(stage="soft-label file", uploaded=True, reads=("pictures", "text")),
)
class SoftLabelTeacher(Source[SoftLabelFile]):
    """Answers on record, one for each example: they hold for examples as they are, so views must not be random."""

    def given(self, architecture: Options, dataset: Dataset, find: Find) -> ExternalTeacher:
        place, content = file_at(self.options.path, WHAT, MOST_BYTES)
        try:
            source, judged = softlabels.about(place, dataset)
        except softlabels.BadSoftLabels as error:
            refuse("path", f"{place.name} cannot be used as a teacher: {error}")
        note = f"Soft labels from a file ({source}), without size and speed, so nothing can be compared with them."
        if not judged:
            note += " Accuracy is unknown too: the file has no test examples."
        return ExternalTeacher(content, place, "table", note=note)

    def bring(
        self, content: Path, architecture: Mapping[str, Any] | None, dataset: Dataset, scratch: Path
    ) -> LoadedTeacher:
        found = softlabels.read(content, dataset)
        answers = {"train": found.train} | ({} if found.test is None else {"test": found.test})
        return LoadedTeacher(answers=answers, report={"source": {"who": found.source}})
