"""A teacher out of an earlier run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from kdcore import inputs
from kdcore.data.types import Dataset
from kdcore.distill.source import ExternalTeacher, Find, LoadedTeacher, Source, StoredModel, refuse
from kdcore.distill.traits import TeacherTraits
from kdcore.inputs import EVERY
from kdcore.registry import Options, register


class Earlier(Options):
    """Options of a teacher out of an earlier run."""

    model: str = Field("", max_length=80, description="A run's id, or the key of a model (64 hex digits).")
    variant: str = Field(
        "teacher", max_length=200, description="The variant of that run; its first seed's model is used."
    )


@register(
    "teacher",
    "earlier",
    "A finished model of an earlier run; nothing is trained",
    options=Earlier,
    traits=TeacherTraits(stage="earlier model", model=True, reads=EVERY),
)
class EarlierTeacher(Source[Earlier]):
    """The model as it is, where it was made on the same data set; else it is measured again on this one."""

    def given(self, architecture: Options, dataset: Dataset, find: Find) -> ExternalTeacher:
        found = find(self.options.model.strip(), self.options.variant)
        self._must_fit(found, dataset)
        same = found.fingerprint == dataset.fingerprint
        if not same and found.gives == "table":
            refuse("model", f"{found.name} is a file of soft labels for other images; it cannot be used here")
        return ExternalTeacher(
            found.key, found.folder, found.gives, as_it_is=same, closed=found.closed,
            architecture=found.architecture, params=found.params, macs=found.macs, note=f"From {found.name}.",
        )  # fmt: skip

    def _must_fit(self, found: StoredModel, dataset: Dataset) -> None:
        if found.shape != dataset.shape:
            refuse("model", f"{found.name} expects {_size(found.shape)}; these are {_size(dataset.shape)}")
        if found.classes != dataset.classes:
            refuse(
                "model",
                f"{found.name} has {len(found.classes)} classes ({_first(found.classes)}); this data set has "
                f"{len(dataset.classes)} ({_first(dataset.classes)})",
            )

    def bring(
        self, content: Path, architecture: Mapping[str, Any] | None, dataset: Dataset, scratch: Path
    ) -> LoadedTeacher:
        from kdcore.export import weights

        report = json.loads((content / "report.json").read_text("utf-8"))
        if (content / weights.TENSORS).is_file() and report.get("export"):
            described = json.loads((content / weights.ARCHITECTURE).read_text("utf-8"))
            return LoadedTeacher(network=weights.load(content), described=described)
        return LoadedTeacher(onnx=content / "model.onnx", report={"cost": report["cost"]})


def _size(shape: inputs.Shape) -> str:
    return inputs.of(shape).size(shape)


def _first(names: tuple[str, ...]) -> str:
    return ", ".join(names[:4]) + ", …" * (len(names) > 4)
