"""The subprocess of `external_onnx`: checks, converts and runs an ONNX file. Not for a process that matters."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto

from kdcore.data.normalisations import Normalisation
from kdcore.export import onnx_reading as reading
from kdcore.export.external_onnx import LOOKING_SECONDS, MOST_BYTES, ForeignModel, Judged, Wanted
from kdcore.export.graph import WEIGHTED, constants
from kdcore.export.onnx_macs import macs
from kdcore.export.onnx_wrapping import LEAST, PREFIX, Fit, any_batch, scanning, wrapped
from kdcore.models.first_look import Look, Sample, look
from kdcore.problems import first_line

MOST_BATCH = 1024
TRIED = 5  # images in the trial, not a divisor of the usual batches
TOLERANCE = 1e-3  # of the largest logit, between images asked together and one by one
COARSE = 1e-2  # the same of a file that reckons with 16 bits
KINDS: dict[int, Any] = {TensorProto.FLOAT: np.float32, TensorProto.FLOAT16: np.float16, TensorProto.DOUBLE: np.float64}
PLAIN = ("Identity", "Cast", "Reshape", "Flatten", "Squeeze", "QuantizeLinear", "DequantizeLinear")  # keep the values

MEMORY_BYTES = 8 * 2**30


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
    return Judged(params, zeros, counted, fit.batch, scanned, list(wanted.order), found, _weights(model))


class _Asked:
    """A file that is asked as it is: what its own graph does not do is done in NumPy."""

    def __init__(self, model: onnx.ModelProto, fit: Fit):
        self.fit, self.running = fit, _session(model)
        self.name = self.running.get_inputs()[0].name
        self.sigmoid = _ends_in_sigmoid(model)

    def images(self, pixels: np.ndarray) -> np.ndarray:
        """Normalised pixels (n, C, H, W), n at most its batch, as it takes them."""
        batch = self.fit.batch or len(pixels)
        filled = np.concatenate([pixels, np.repeat(pixels[-1:], batch - len(pixels), axis=0)])
        return np.ascontiguousarray(filled.transpose(0, 2, 3, 1) if self.fit.last else filled, KINDS[self.fit.takes])

    def together(self, pixels: np.ndarray) -> np.ndarray:
        """Its answers (n, K) to normalised pixels (n, C, H, W)."""
        batch = self.fit.batch or len(pixels)
        parts = [pixels[at : at + batch] for at in range(0, len(pixels), batch)]
        return np.concatenate([_run(self.running, self.name, self.images(part))[: len(part)] for part in parts])

    def alone(self, pixels: np.ndarray, classes: int) -> np.ndarray:
        """Its answers (n, K), each image asked by itself. Raises ForeignModel where they are none of K classes."""
        said = []
        for image in pixels:
            given = self.images(image[None])
            out = _run(self.running, self.name, given)
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
    expected = _logits(asked.alone(prepared.astype(np.float32), wanted.classes), wanted, asked.sigmoid)
    tolerance = COARSE if TensorProto.FLOAT16 in (fit.takes, fit.gives) else TOLERANCE
    for scanned in (False, True):
        if scanned and fit.batch is None:
            break
        inner = scanning(model, fit.batch or 1, wanted.classes) if scanned else any_batch(model)
        made = wrapped(inner, wanted, fit)
        if _same(made, images, expected, tolerance):
            return made, scanned
    raise ForeignModel(reading.why_together(model, fit.batch))


def _weights(model: onnx.ModelProto) -> int:
    """Numbers in layers whose weights are fp32."""
    known = constants(model)
    read = {node.input[1] for node in model.graph.node if node.op_type in WEIGHTED} & known.keys()
    plain = [known[name].dims for name in read if known[name].data_type == TensorProto.FLOAT]
    return sum(math.prod(dims) for dims in plain if len(dims) in (2, 4))


def _look(asked: _Asked, wanted: Wanted, sample: Path, others: Mapping[str, Normalisation]) -> Look:
    _allow_looking()
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
        raise ForeignModel(f"it has {len(given)} inputs{_named(given)}; one is needed, the images")
    kind = given[0].type.tensor_type
    sides = [dim.dim_value if dim.HasField("dim_value") else None for dim in kind.shape.dim]
    last = _channels_last(kind.elem_type, sides, wanted)
    batch = sides[0]
    if batch is not None and not 1 <= batch <= MOST_BATCH:
        raise ForeignModel(f"its batch size is {batch}; 1 to {MOST_BATCH}, or a dynamic one, are accepted")
    return Fit(batch, last, kind.elem_type, _output(model), wanted.repeated)


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


def _output(model: onnx.ModelProto) -> int:
    """The kind of numbers of its one output."""
    if len(model.graph.output) != 1:
        raise ForeignModel(
            f"it has {len(model.graph.output)} outputs{_named(model.graph.output)}; one is needed, the classes' scores"
        )
    kind: int = model.graph.output[0].type.tensor_type.elem_type
    if kind not in KINDS:
        name = TensorProto.DataType.Name(kind).lower()
        raise ForeignModel(f"its output is {name}: it gives classes instead of scores; export it without argmax")
    return kind


def _named(values: Any) -> str:
    names = ", ".join(value.name.removeprefix(PREFIX) for value in values)
    return f" ({names[:80]})" if names else ""


def _logits(said: np.ndarray, wanted: Wanted, sigmoid: bool) -> np.ndarray:
    """What it said as logits, in the data set's order of classes. Raises ForeignModel where it said something else."""
    if not np.isfinite(said).all():
        raise ForeignModel("its outputs are not finite")
    logits = _from(wanted.outputs, said, sigmoid)
    return logits[:, np.argsort(wanted.order)] if len(wanted.order) else logits


def _from(outputs: str, said: np.ndarray, sigmoid: bool) -> np.ndarray:
    shares = bool(said.min() >= 0 and said.max() <= 1)
    off = float(np.abs(said.sum(axis=1) - 1).max())  # from a sum of 1
    if outputs == "probabilities":
        if said.min() < 0 or off > 0.01:
            other = "sigmoid" if shares else "logits"
            raise ForeignModel(
                f"its outputs are not probabilities, at least 0 and with sum 1: set outputs to {other}",
                {"outputs": other},
            )
        return np.asarray(np.log(np.maximum(said, LEAST)))
    if outputs == "sigmoid":
        if not shares:
            message = "its outputs are not sigmoids, between 0 and 1: set outputs to logits"
            raise ForeignModel(message, {"outputs": "logits"})
        bounded = np.clip(said, LEAST, 1 - LEAST)
        return np.asarray(np.log(bounded / (1 - bounded)))
    if said.min() >= 0 and off < 1e-3:
        message = "its outputs are probabilities: they sum to 1; set outputs to probabilities"
        raise ForeignModel(message, {"outputs": "probabilities"})
    if sigmoid or shares:
        message = "its outputs are sigmoids, each between 0 and 1: set outputs to sigmoid"
        raise ForeignModel(message, {"outputs": "sigmoid"})
    return said


def _ends_in_sigmoid(model: onnx.ModelProto) -> bool:
    makers = {name: node for node in model.graph.node for name in node.output}
    node = makers.get(model.graph.output[0].name)
    while node is not None and node.op_type in PLAIN:
        node = makers.get(node.input[0])
    return node is not None and node.op_type == "Sigmoid"


def _same(model: onnx.ModelProto, images: np.ndarray, expected: np.ndarray, tolerance: float) -> bool:
    """Whether the converted model gives the expected logits for all images at once."""
    try:
        running = _session(model)
        given = _run(running, running.get_inputs()[0].name, images)
    except ForeignModel:
        return False
    if given.shape != expected.shape:
        return False
    return float(np.abs(given - expected).max()) <= tolerance * max(1.0, float(np.abs(expected).max()))


def _session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ForeignModel(f"ONNX Runtime cannot load it: {first_line(error)}") from None


def _run(running: onnxruntime.InferenceSession, name: str, images: np.ndarray) -> np.ndarray:
    try:
        return np.asarray(running.run(None, {name: images})[0])
    except Exception as error:
        raise ForeignModel(f"it does not run on images {images.shape}: {first_line(error)}") from None


def _limit(seconds: float) -> None:
    """Bounds what this process may take from now on, where the system can: memory, processor time, sizes of files."""
    try:
        import resource
    except ImportError:
        return
    used = math.ceil(time.process_time() + seconds)
    for what, most in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, 2 * MOST_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
    _limit_time(used)


def _limit_time(seconds: int) -> None:
    """Bounds the processor time of this process since its start."""
    import resource

    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (seconds if hard == resource.RLIM_INFINITY else min(seconds, hard), hard))


def _allow_looking() -> None:
    """A file that did in time what small inputs need may take longer over the sample."""
    try:
        import resource
    except ImportError:
        return
    if resource.getrlimit(resource.RLIMIT_CPU)[0] != resource.RLIM_INFINITY:
        _limit_time(math.ceil(time.process_time() + LOOKING_SECONDS))


def _main() -> None:
    question = json.load(sys.stdin)
    _limit(question["seconds"])
    target = Path(question["target"]) if question["target"] else None
    try:
        sample = Path(question["sample"]) if question["sample"] else None
        others = {name: Normalisation(*map(tuple, one)) for name, one in question["others"].items()}
        judged = adopt(Path(question["path"]), Wanted(**question["wanted"]), target, sample, others)
        answer: dict[str, Any] = judged.document()
    except ForeignModel as error:
        answer = {"refused": str(error), "changes": error.changes}
    except MemoryError:
        answer = {"refused": "it needs too much memory"}
    print(json.dumps(answer))


if __name__ == "__main__":
    _main()
