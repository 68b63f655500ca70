"""A teacher out of an uploaded weights file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from kdcore import models, registry
from kdcore.data.normalisations import Pixels
from kdcore.data.types import Dataset
from kdcore.distill import foreign
from kdcore.distill.source import ExternalTeacher, Find, LoadedTeacher, Source, file_at, refuse
from kdcore.distill.traits import TeacherTraits
from kdcore.models.upload_names import UploadError
from kdcore.registry import Options, register

VERSION = 2  # of the judgement: raise it when the same file is judged otherwise
MOST_BYTES = 2**31
SUFFIXES = (".safetensors", ".pt", ".pth", ".ckpt", ".bin", ".tar")
WHAT = f"a weights file ({', '.join(SUFFIXES)}) of the architecture in teacher.model"
USUAL_PIXELS: Pixels = "normalised"


class WeightsFile(foreign.Foreign):
    """Options of a weights file."""

    path: str = Field(
        "", max_length=1000, description=f"Path of {WHAT} on this machine. A .pt must contain only tensors."
    )
    pixels: Pixels = Field(
        USUAL_PIXELS,
        description="How its input was normalised: with the mean and standard deviation of this data set (or those "
        "in the file), of another data set, or by a range.",
    )
    ema: bool = Field(
        False, title="Running mean of the weights (EMA)",
        description="Use the running mean where the file has both it and the raw weights.",
    )  # fmt: skip


@register(
    "teacher",
    "weights_file",
    "A weights file of a known architecture",
    options=WeightsFile,
    traits=TeacherTraits(stage="weights file", architecture=True, uploaded=True),
)
class WeightsFileTeacher(Source[WeightsFile]):
    """The architecture with the file's weights: exported and measured like a network that was trained here."""

    def given(self, architecture: Options, dataset: Dataset, find: Find) -> ExternalTeacher:
        from kdcore.models.upload import kind_of

        options = self.options
        place, content = file_at(options.path, WHAT, MOST_BYTES)
        if place.suffix.lower() not in SUFFIXES:
            refuse("path", f"{place.name} is not a weights file; {', '.join(SUFFIXES)} are accepted")
        try:
            kind_of(place)
            judged = self._judged(place, content, architecture, dataset)
        except UploadError as error:
            raise foreign.refusal(f"{place.name} cannot be used: {error}", error.changes) from None
        foreign.question(judged.look, options, dataset, place.name)
        model = architecture.model_dump(mode="json")
        order = foreign.order(options.class_order, dataset)
        spec = {"model": model} | foreign.spec(options, dataset, order, USUAL_PIXELS)
        return ExternalTeacher(
            content, place, "features", spec=spec | ({"ema": True} if options.ema else {}), architecture=model,
            note=self._note(place.name, judged.both, judged.left),
        )  # fmt: skip

    def _note(self, name: str, both: bool, left: Any) -> str:
        said = [f"Weights from {name}, not trained here."]
        if both:
            taken, rest = (
                ("the moving average is", "raw weights") if self.options.ema else ("the raw weights are", "EMA")
            )
            said.append(f"The file contains two sets: {taken} used, not the {rest}.")
        if left:
            said.append(f"{len(left)} of the file's tensors are not part of the network ({foreign.some(left, 3)}).")
        return " ".join(said)

    def _judged(self, place: Path, content: str, architecture: Options, dataset: Dataset) -> Any:
        """What a subprocess says of this file. Raises UploadError."""
        from kdcore.models.judging import Judged, judge

        wanted = self._wanted(architecture, dataset)
        others = foreign.others(self.options, dataset)

        def ask() -> dict[str, Any]:
            try:
                with foreign.sample(dataset) as sample:
                    return judge(place, wanted, sample, others).document()
            except UploadError as error:
                return {"refused": str(error), "changes": error.changes}

        about = [registry.entry_of("architecture", architecture).stamp, content, wanted, dataset.fingerprint]
        answer = foreign.remembered(["weights", VERSION, *about], ask)
        if "refused" in answer:
            raise UploadError(answer["refused"], answer["changes"])
        return Judged.read(answer)

    def _wanted(self, architecture: Options, dataset: Dataset) -> Any:
        from kdcore.models.upload import Wanted

        options = self.options
        shape, asked = foreign.shape(options, dataset), foreign.normalisation(options, dataset)
        document = models.describe(architecture, len(dataset.classes), shape, asked.mean, asked.std)
        own = options.pixels == USUAL_PIXELS and not options.mean
        return Wanted(document, ema=options.ema, own=own, order=foreign.order(options.class_order, dataset))

    def bring(
        self, content: Path, architecture: Mapping[str, Any] | None, dataset: Dataset, scratch: Path
    ) -> LoadedTeacher:
        from kdcore.models.upload import take

        wanted = self._wanted(registry.validate("architecture", architecture), dataset)
        return LoadedTeacher(network=take(content, wanted)[0], described=wanted.document)
