"""A teacher out of an uploaded ONNX file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from kdcore.data.normalisations import Pixels
from kdcore.data.types import Dataset
from kdcore.distill import foreign
from kdcore.distill.source import ExternalTeacher, Find, LoadedTeacher, Source, file_at, refuse
from kdcore.distill.traits import TeacherTraits
from kdcore.export import external_onnx
from kdcore.registry import Options, register

VERSION = 4  # of the judgement: raise it when the same file is judged otherwise
WHAT = "an ONNX classifier (.onnx)"
USUAL_PIXELS: Pixels = "0..1"


class OnnxFile(foreign.Foreign):
    """Options of an ONNX file."""

    path: str = Field(
        "",
        max_length=1000,
        description=f"Path of {WHAT} on this machine. Input float32 (batch, C, H, W), output (batch, K).",
    )
    pixels: Pixels = Field(
        USUAL_PIXELS,
        description="Its input: pixels from 0 to 1, from 0 to 255 or from -1 to 1; or normalised with the mean and "
        "standard deviation of this data set or of the one it was trained on.",
    )
    outputs: Literal["logits", "probabilities", "sigmoid"] = Field(
        "logits",
        description="Its output: logits, probabilities that sum to 1 (softmax), or one probability per class "
        "(sigmoid). Probabilities are converted back to logits.",
    )


@register(
    "teacher",
    "onnx_file",
    "An ONNX classifier, of which only the outputs are used",
    options=OnnxFile,
    traits=TeacherTraits(stage="ONNX file", uploaded=True),
)
class OnnxFileTeacher(Source[OnnxFile]):
    """The file, checked as hostile input, with its conversions built in: measured and timed as our own files are."""

    def given(self, architecture: Options, dataset: Dataset, find: Find) -> ExternalTeacher:
        options = self.options
        place, content = file_at(options.path, WHAT, external_onnx.MOST_BYTES)
        if dataset.multilabel and options.outputs == "probabilities":
            refuse(
                "outputs", "probabilities of several labels per image cannot be converted back: give a file with logits"
            )
        judged = self._judged(place, content, dataset)
        if judged.look:
            foreign.question(judged.look, options, dataset, place.name)
        spec = {"pixels": options.pixels, "outputs": options.outputs}
        note = f"An ONNX file ({place.name}), not trained here. Its times include converting pixels to its input."
        if judged.order and not options.class_order:
            note += " Its own class names define their order."
        return ExternalTeacher(
            content, place, "answers", closed=judged.closed,
            spec=spec | foreign.spec(options, dataset, judged.order, options.pixels),
            params=judged.params, macs=judged.macs, note=note,
        )  # fmt: skip

    def bring(
        self, content: Path, architecture: Mapping[str, Any] | None, dataset: Dataset, scratch: Path
    ) -> LoadedTeacher:
        return foreign.adopted(content, self._wanted(dataset), scratch)

    def _judged(self, place: Path, content: str, dataset: Dataset) -> external_onnx.Judged:
        """What the subprocess says of this file. Raises RecipeError."""
        wanted = self._wanted(dataset)._replace(names=() if self.options.class_order else dataset.classes)
        others = foreign.others(self.options, dataset)
        return foreign.judged_file(place, ["onnx", VERSION, content], wanted, dataset, others)

    def _wanted(self, dataset: Dataset) -> external_onnx.Wanted:
        options = self.options
        asked = foreign.normalisation(options, dataset)
        pixels: Any = options.pixels if options.pixels in ("0..1", "0..255") and not options.mean else "normalised"
        return external_onnx.Wanted(
            tuple(dataset.shape), len(dataset.classes), asked.mean, asked.std, pixels, options.outputs,
            repeated=options.channels == "repeated", order=foreign.order(options.class_order, dataset),
        )  # fmt: skip
