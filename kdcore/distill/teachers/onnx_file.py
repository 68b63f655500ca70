"""A teacher out of an uploaded ONNX file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from kdcore.data.types import Dataset
from kdcore.distill.source import ExternalTeacher, Find, LoadedTeacher, Source, file_at, refuse
from kdcore.distill.traits import TeacherTraits
from kdcore.export import external_onnx
from kdcore.files import Damaged, read_json, write_json
from kdcore.paths import home
from kdcore.registry import Options, register

VERSION = 2  # of the judgement: raise it when the same file is judged otherwise
WHAT = "an ONNX classifier (.onnx)"


class OnnxFile(Options):
    """Options of an ONNX file."""

    path: str = Field(
        "",
        max_length=1000,
        description=f"Where {WHAT} is on this machine. It takes float32 (batch, C, H, W) and gives (batch, K).",
    )
    pixels: Literal["0..1", "0..255", "normalised"] = Field(
        "0..1",
        description="What its input wants: pixels from 0 to 1, from 0 to 255, or normalised with this data set's mean "
        "and standard deviation.",
    )
    outputs: Literal["logits", "probabilities"] = Field(
        "logits", description="What it gives: logits, or probabilities, whose logarithm is taken."
    )


@register(
    "teacher",
    "onnx_file",
    "An ONNX classifier, which teaches by its answers alone",
    options=OnnxFile,
    traits=TeacherTraits(stage="ONNX file", uploaded=True),
)
class OnnxFileTeacher(Source[OnnxFile]):
    """The file, checked as hostile input, with its conversions built in: measured and timed as our own files are."""

    def given(self, architecture: Options, dataset: Dataset, find: Find) -> ExternalTeacher:
        place, content = file_at(self.options.path, WHAT, external_onnx.MOST_BYTES)
        if dataset.multilabel and self.options.outputs == "probabilities":
            refuse("outputs", "probabilities of several labels an image cannot be turned back: give a file of logits")
        wanted = self._wanted(dataset)
        try:
            judged = _judged(place, content, wanted)
        except external_onnx.ForeignModel as error:
            refuse("path", f"{place.name} cannot teach: {error}")
        spec = {"pixels": self.options.pixels, "outputs": self.options.outputs}
        return ExternalTeacher(
            content, place, "answers", spec=spec, params=judged.params, macs=judged.macs,
            note=f"An ONNX file ({place.name}), not trained here. Its time includes what turns pixels into its input.",
        )  # fmt: skip

    def bring(
        self, content: Path, architecture: Mapping[str, Any] | None, dataset: Dataset, scratch: Path
    ) -> LoadedTeacher:
        target = scratch / "adopted.onnx"
        judged = external_onnx.adopt(content, self._wanted(dataset), target)
        cost = {
            "params": judged.params,
            "nonzero_params": judged.params - judged.zeros,
            "sparsity": judged.zeros / judged.params if judged.params else 0.0,
            "macs": judged.macs,
        }
        return LoadedTeacher(onnx=target, report={"cost": cost, "source": judged._asdict()})

    def _wanted(self, dataset: Dataset) -> external_onnx.Wanted:
        return external_onnx.Wanted(
            dataset.shape, len(dataset.classes), dataset.mean, dataset.std, self.options.pixels, self.options.outputs
        )


def _judged(place: Path, content: str, wanted: external_onnx.Wanted) -> external_onnx.Judged:
    """What the subprocess says of this file, asked once: a page plans at every click. Raises ForeignModel."""
    question = json.dumps([VERSION, content, wanted])
    cache = home() / "cache" / "teachers" / f"{hashlib.sha256(question.encode()).hexdigest()[:32]}.json"
    answer = _read(cache)
    if answer is None:
        try:
            answer = external_onnx.adopt(place, wanted)._asdict()
        except external_onnx.TooSlow:
            raise
        except external_onnx.ForeignModel as error:
            answer = {"refused": str(error)}
        cache.parent.mkdir(parents=True, exist_ok=True)
        write_json(cache, answer)
    if "refused" in answer:
        raise external_onnx.ForeignModel(answer["refused"])
    return external_onnx.Judged(*(answer[name] for name in external_onnx.Judged._fields))


def _read(cache: Path) -> dict[str, Any] | None:
    try:
        return read_json(cache)
    except (OSError, Damaged):
        return None
