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

    path: str = Field("", max_length=1000, description=f"Where {WHAT} is on this machine.")


@register(
    "teacher",
    "soft_labels",
    "A file of soft labels, written by any teacher; the teacher itself need not be there",
    options=SoftLabelFile,
    traits=TeacherTraits(stage="soft-label file", uploaded=True),
)
class SoftLabelTeacher(Source[SoftLabelFile]):
    """Answers on record, one for each image: they hold for images as they are, so views must not be random."""

    def given(self, architecture: Options, dataset: Dataset, find: Find) -> ExternalTeacher:
        place, content = file_at(self.options.path, WHAT, MOST_BYTES)
        try:
            source, judged = softlabels.about(place, dataset)
        except softlabels.BadSoftLabels as error:
            refuse("path", f"{place.name} cannot teach: {error}")
        note = f"Answers from a file ({source}): it has no size and no speed, so nothing is faster or smaller than it."
        if not judged:
            note += " Nor is its accuracy known: the file does not tell about test images."
        return ExternalTeacher(content, place, "table", note=note)

    def bring(
        self, content: Path, architecture: Mapping[str, Any] | None, dataset: Dataset, scratch: Path
    ) -> LoadedTeacher:
        found = softlabels.read(content, dataset)
        answers = {"train": found.train} | ({} if found.test is None else {"test": found.test})
        return LoadedTeacher(answers=answers, report={"source": {"who": found.source}})
