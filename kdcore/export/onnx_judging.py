"""What judging an ONNX file of somebody else needs, whatever it reads. Not for a process that matters."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto

from kdcore.export.external_onnx import LOOKING_SECONDS, MOST_BYTES, ForeignModel, Judged, Wanted, WantedTexts
from kdcore.export.graph import WEIGHTED, constants
from kdcore.export.onnx_wrapping import LEAST, PREFIX
from kdcore.problems import first_line

TOLERANCE = 1e-3  # of the largest logit, between inputs asked together and one by one
COARSE = 1e-2  # the same of a file that reckons with 16 bits
KINDS: dict[int, Any] = {TensorProto.FLOAT: np.float32, TensorProto.FLOAT16: np.float16, TensorProto.DOUBLE: np.float64}
PLAIN = ("Identity", "Cast", "Reshape", "Flatten", "Squeeze", "QuantizeLinear", "DequantizeLinear")  # keep the values
MEMORY_BYTES = 8 * 2**30


def answer(adopt: Callable[[dict[str, Any]], Judged]) -> None:
    """Reads the question from the standard input, limits this process, and prints what `adopt` says of it."""
    question = json.load(sys.stdin)
    limit(question["seconds"])
    for name in ("target", "sample"):
        question[name] = Path(question[name]) if question[name] else None
    try:
        found: dict[str, Any] = adopt(question).document()
    except ForeignModel as error:
        found = {"refused": str(error), "changes": error.changes}
    except MemoryError:
        found = {"refused": "it needs too much memory"}
    print(json.dumps(found))


def session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    """On one thread of the CPU. Raises ForeignModel."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ForeignModel(f"ONNX Runtime cannot load it: {first_line(error)}") from None


def run(running: onnxruntime.InferenceSession, name: str, given: np.ndarray) -> np.ndarray:
    """Its first output for this input. Raises ForeignModel."""
    try:
        return np.asarray(running.run(None, {name: given})[0])
    except Exception as error:
        raise ForeignModel(f"it does not run on an input {given.shape}: {first_line(error)}") from None


def output(model: onnx.ModelProto) -> int:
    """The kind of numbers of its one output."""
    if len(model.graph.output) != 1:
        raise ForeignModel(
            f"it has {len(model.graph.output)} outputs{named(model.graph.output)}; one is needed, the classes' scores"
        )
    kind: int = model.graph.output[0].type.tensor_type.elem_type
    if kind not in KINDS:
        name = TensorProto.DataType.Name(kind).lower()
        raise ForeignModel(f"its output is {name}: it gives classes instead of scores; export it without argmax")
    return kind


def named(values: Any) -> str:
    """The names of inputs or outputs in brackets; empty where there are none."""
    names = ", ".join(value.name.removeprefix(PREFIX) for value in values)
    return f" ({names[:80]})" if names else ""


def weighted(model: onnx.ModelProto) -> int:
    """Numbers in layers whose weights are fp32."""
    known = constants(model)
    read = {node.input[1] for node in model.graph.node if node.op_type in WEIGHTED} & known.keys()
    plain = [known[name].dims for name in read if known[name].data_type == TensorProto.FLOAT]
    return sum(math.prod(dims) for dims in plain if len(dims) in (2, 4))


def logits_of(said: np.ndarray, wanted: Wanted | WantedTexts, sigmoid: bool) -> np.ndarray:
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


def ends_in_sigmoid(model: onnx.ModelProto) -> bool:
    """Whether nothing but its shape changes after a sigmoid."""
    makers = {name: node for node in model.graph.node for name in node.output}
    node = makers.get(model.graph.output[0].name)
    while node is not None and node.op_type in PLAIN:
        node = makers.get(node.input[0])
    return node is not None and node.op_type == "Sigmoid"


def same(given: np.ndarray, expected: np.ndarray, kinds: tuple[int, ...]) -> bool:
    """Whether answers are the expected ones, as far as a file of these kinds of numbers (TensorProto) reckons."""
    if given.shape != expected.shape:
        return False
    tolerance = COARSE if TensorProto.FLOAT16 in kinds else TOLERANCE
    return float(np.abs(given - expected).max()) <= tolerance * max(1.0, float(np.abs(expected).max()))


def limit(seconds: float) -> None:
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


def allow_looking() -> None:
    """A file that did in time what small inputs need may take longer over the sample."""
    try:
        import resource
    except ImportError:
        return
    if resource.getrlimit(resource.RLIMIT_CPU)[0] != resource.RLIM_INFINITY:
        _limit_time(math.ceil(time.process_time() + LOOKING_SECONDS))
