"""The subprocess of `external_onnx`: checks, converts and runs an ONNX file. Not for a process that matters."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto

from kdcore.data.normalisations import Normalisation
from kdcore.export import onnx_reading as reading
from kdcore.export.external_onnx import ForeignModel, Judged, Wanted
from kdcore.export.onnx_judging import (
    KINDS,
    allow_looking,
    answer,
    ends_in_sigmoid,
    logits_of,
    named,
    output,
    run,
    same,
    session,
    weighted,
)  # fmt: skip
from kdcore.export.onnx_macs import macs
from kdcore.export.onnx_wrapping import PREFIX, Fit, any_batch, scanning, wrapped
from kdcore.models.first_look import Look, Sample, look

MOST_BATCH = 1024
TRIED = 5  # images in the trial, not a divisor of the usual batches


def adopt(
    path: Path,
    wanted: Wanted,
    target: Path | None,
    sample: Path | None = None,
    others: Mapping[str, Normalisation] = {},
) -> Judged:
    """See `external_onnx.adopt`. Raises ForeignModel, and whatever a hostile file makes a library raise."""
    model = onnx.compose.add_prefix(reading.read(path), PREFIX)
    fit = _fit(model, wanted)
    reading.check_modes(model)
    order = wanted.order or reading.class_order(model, wanted.names)
    wanted = wanted._replace(order=[] if list(order) == list(range(wanted.classes)) else order)
    params, zeros = reading.count(model)
    asked = _Asked(model, fit)
    made, scanned = _made(model, wanted, fit, asked)
    if target:
        target.write_bytes(made.SerializeToString())
    found = _look(asked, wanted, sample, others) if sample else None
    counted = macs(model, asked.images(np.zeros((1, *wanted.takes), np.float32)))
    return Judged(params, zeros, counted, fit.batch, scanned, list(wanted.order), found, weighted(model))


class _Asked:
    """A file that is asked as it is: what its own graph does not do is done in NumPy."""

    def __init__(self, model: onnx.ModelProto, fit: Fit):
        self.fit, self.running = fit, session(model)
        self.name = self.running.get_inputs()[0].name
        self.sigmoid = ends_in_sigmoid(model)

    def images(self, pixels: np.ndarray) -> np.ndarray:
        """Normalised pixels (n, C, H, W), n at most its batch, as it takes them."""
        batch = self.fit.batch or len(pixels)
        filled = np.concatenate([pixels, np.repeat(pixels[-1:], batch - len(pixels), axis=0)])
        return np.ascontiguousarray(filled.transpose(0, 2, 3, 1) if self.fit.last else filled, KINDS[self.fit.takes])

    def together(self, pixels: np.ndarray) -> np.ndarray:
        """Its answers (n, K) to normalised pixels (n, C, H, W)."""
        batch = self.fit.batch or len(pixels)
        parts = [pixels[at : at + batch] for at in range(0, len(pixels), batch)]
        return np.concatenate([run(self.running, self.name, self.images(part))[: len(part)] for part in parts])

    def alone(self, pixels: np.ndarray, classes: int) -> np.ndarray:
        """Its answers (n, K), each image asked by itself. Raises ForeignModel where they are none of K classes."""
        said = []
        for image in pixels:
            given = self.images(image[None])
            out = run(self.running, self.name, given)
            if out.shape != (len(given), classes):
                need = f"({len(given)}, {classes}) is needed, a number for each class"
                raise ForeignModel(f"its output is {tuple(out.shape)}; {need}")
            said.append(out[0])
        return np.stack(said).astype(np.float32)


def _made(model: onnx.ModelProto, wanted: Wanted, fit: Fit, asked: _Asked) -> tuple[onnx.ModelProto, bool]:
    """The model in our convention, and whether its batch size is fixed."""
    images = np.random.default_rng(0).random((TRIED, *wanted.shape), dtype=np.float32)
    prepared = (np.repeat(images, 3, axis=1) if fit.repeats else images) * (255 if wanted.pixels == "0..255" else 1)
    if wanted.pixels == "normalised":
        mean, std = (np.array(part, np.float32).reshape(-1, 1, 1) for part in (wanted.mean, wanted.std))
        prepared = (prepared - mean) / std
    expected = logits_of(asked.alone(prepared.astype(np.float32), wanted.classes), wanted, asked.sigmoid)
    for scanned in (False, True):
        if scanned and fit.batch is None:
            break
        inner = scanning(model, fit.batch or 1, wanted.classes) if scanned else any_batch(model)
        made = wrapped(inner, wanted, fit)
        if _same(made, images, expected, fit):
            return made, scanned
    raise ForeignModel(reading.why_together(model, fit.batch))


def _look(asked: _Asked, wanted: Wanted, sample: Path, others: Mapping[str, Normalisation]) -> Look:
    allow_looking()
    scale = 1 / 255 if wanted.pixels == "0..255" else 1.0
    plain = Normalisation((0.0,) * wanted.takes[0], (scale,) * wanted.takes[0])
    now = Normalisation(tuple(wanted.mean), tuple(wanted.std)) if wanted.pixels == "normalised" else plain
    return look(asked.together, Sample.read(sample), now, others, wanted.order)


def _fit(model: onnx.ModelProto, wanted: Wanted) -> Fit:
    """How it takes its images and answers. An axis that is written as -1 is made free. Raises ForeignModel."""
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            if dim.HasField("dim_value") and dim.dim_value < 0:
                dim.ClearField("dim_value")
    held = {tensor.name for tensor in model.graph.initializer}
    given = [value for value in model.graph.input if value.name not in held]
    if len(given) != 1:
        raise ForeignModel(f"it has {len(given)} inputs{named(given)}; one is needed, the images")
    kind = given[0].type.tensor_type
    sides = [dim.dim_value if dim.HasField("dim_value") else None for dim in kind.shape.dim]
    last = _channels_last(kind.elem_type, sides, wanted)
    batch = sides[0]
    if batch is not None and not 1 <= batch <= MOST_BATCH:
        raise ForeignModel(f"its batch size is {batch}; 1 to {MOST_BATCH}, or a dynamic one, are accepted")
    return Fit(batch, last, kind.elem_type, output(model), wanted.repeated)


def _channels_last(elements: int, sides: list[int | None], wanted: Wanted) -> bool:
    """Whether its channels come last. Raises ForeignModel, with what it is that does not fit."""
    channels, height, width = wanted.takes
    name = TensorProto.DataType.Name(elements).lower()
    given_input = f"{name} ({' x '.join('?' if side is None else str(side) for side in sides)})"
    need = f"float32 (batch, {channels}, {height}, {width})"
    if elements not in KINDS:
        raise ForeignModel(f"its input is {given_input}, but pixels are real numbers; these images need {need}")
    if len(sides) != 4:
        raise ForeignModel(f"its input {given_input} has {len(sides)} axes; these images need {need}, channels first")

    def fits(*lengths: int) -> bool:
        return all(side in (None, length) for side, length in zip(sides[1:], lengths, strict=True))

    if fits(channels, height, width):
        return False
    if fits(height, width, channels):
        return True
    first, *size = sides[1:] if sides[3] not in (1, 3) or sides[1] in (1, 3) else (sides[3], *sides[1:3])
    if first not in (None, channels):
        message = f"its input is {given_input}: it expects {first} channels, but these images have {wanted.shape[0]}"
        if (first, wanted.shape[0]) == (3, 1):
            raise ForeignModel(f"{message}: set channels to repeated", {"channels": "repeated"})
        raise ForeignModel(f"{message}: use a file for images with as many channels")
    wrong = " x ".join("?" if side is None else str(side) for side in size)
    raise ForeignModel(f"its input is {given_input}: it expects {wrong} pixels, but these images need {need}")


def _same(model: onnx.ModelProto, images: np.ndarray, expected: np.ndarray, fit: Fit) -> bool:
    """Whether the converted model gives the expected logits for all images at once."""
    try:
        running = session(model)
        given = run(running, running.get_inputs()[0].name, images)
    except ForeignModel:
        return False
    return same(given, expected, (fit.takes, fit.gives))


def _asked(question: dict[str, Any]) -> Judged:
    others = {name: Normalisation(*map(tuple, one)) for name, one in question["others"].items()}
    wanted = Wanted(**question["wanted"])
    return adopt(Path(question["path"]), wanted, question["target"], question["sample"], others)


if __name__ == "__main__":
    answer(_asked)
