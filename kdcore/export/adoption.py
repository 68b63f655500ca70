"""The subprocess of `external_onnx`: checks, converts and runs an ONNX file. Not for a process that matters."""

from __future__ import annotations

import copy
import json
import math
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.inliner
import onnx.version_converter
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from kdcore.export.external_onnx import MOST_BYTES, ForeignModel, Judged, Wanted
from kdcore.export.layers import layers
from kdcore.export.onnx_limits import check_limits
from kdcore.problems import first_line

EXTERNAL = TensorProto.EXTERNAL
DOMAINS = ("", "ai.onnx", "ai.onnx.ml")
PREFIX = "model."  # of the file's own names, so that those that are added are free
LEAST = 1e-6  # a probability of zero counts as this much: its logarithm must be a number
MOST_BATCH = 1024
TRIED = 5  # images in the trial, not a divisor of the usual batches
TOLERANCE = 1e-3  # of the largest logit, between images asked together and one by one
LEAST_OPSET = 11  # older files have other forms of the operators that are added

MEMORY_BYTES = 8 * 2**30
LEAST_IR = 8  # older ones want every weight among the inputs


def adopt(path: Path, wanted: Wanted, target: Path | None) -> Judged:
    """See `external_onnx.adopt`. Raises ForeignModel, and whatever a hostile file makes a library raise."""
    model = onnx.compose.add_prefix(_read(path), PREFIX)
    batch = _input(model, wanted)
    _output(model)
    params, zeros = _count(model)
    images = np.random.default_rng(0).random((TRIED, *wanted.shape), dtype=np.float32)
    expected = _alone(model, images, wanted, batch)
    for scanned in (False, True):
        if scanned and batch is None:
            break
        made = _wrapped(_scanning(model, batch or 1, wanted.classes) if scanned else _any_batch(model), wanted)
        if _same(made, images, expected):
            if target:
                target.write_bytes(made.SerializeToString())
            return Judged(params, zeros, _macs(made, wanted), batch, scanned)
    raise ForeignModel("it answers otherwise when images are asked together: export it with a free batch axis")


def _read(path: Path) -> onnx.ModelProto:
    """A valid model of standard operators whose weights are all in the file."""
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf's DecodeError, whose module differs by version
        raise ForeignModel(f"it is no ONNX file: {first_line(error)}") from None
    check_limits(model)
    outside = next((one.name for one in _tensors(model) if one.data_location == EXTERNAL or one.external_data), None)
    if outside is not None:
        raise ForeignModel(f"its weight {outside[:60]!r} is kept in another file: save it with the weights inside")
    if model.functions:
        try:
            model = onnx.inliner.inline_local_functions(model)
        except Exception as error:
            raise ForeignModel(f"its local functions cannot be written out: {first_line(error)}") from None
    domains = {node.domain for graph in _graphs(model.graph) for node in graph.node} - set(DOMAINS)
    if domains:
        raise ForeignModel(
            f"it uses operators of its own ({', '.join(sorted(domains))[:80]}); standard ONNX operators are accepted"
        )
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:
        raise ForeignModel(f"it is no valid ONNX model: {first_line(error)}") from None
    return _recent(model)


def _recent(model: onnx.ModelProto) -> onnx.ModelProto:
    version = next((opset.version for opset in model.opset_import if opset.domain in ("", "ai.onnx")), 0)
    if version >= LEAST_OPSET:
        return model
    try:
        return onnx.version_converter.convert_version(model, LEAST_OPSET)
    except Exception:
        raise ForeignModel(f"it is of opset {version}; export it with opset {LEAST_OPSET} or later") from None


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """The graph and all graphs within its nodes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs) if attribute.HasField("g") else attribute.graphs:
                yield from _graphs(inner)


def _tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every tensor that the file holds: initializers, and those in attributes."""
    nodes = [node for function in model.functions for node in function.node]
    for graph in _graphs(model.graph):
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
        nodes += graph.node
    for node in nodes:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)


def _count(model: onnx.ModelProto) -> tuple[int, int]:
    """Floating-point and quantized numbers in its weights, and how many of them are zero."""
    kinds = {TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL, TensorProto.STRING}
    params = zeros = 0
    for tensor in _tensors(model):
        if tensor.data_type not in (TensorProto.UNDEFINED, *kinds):
            values = numpy_helper.to_array(tensor)
            params += values.size
            zeros += int((values == 0).sum()) if values.ndim > 1 else 0
    return params, zeros


def _macs(model: onnx.ModelProto, wanted: Wanted) -> int | None:
    """Multiply-accumulates of an image in its layers; None where they cannot be told."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(model.SerializeToString())
        try:
            found = layers(path, wanted.shape)
        except Exception:  # a graph of another kind than ours
            return None
    return sum(layer["macs"] for layer in found) or None


def _input(model: onnx.ModelProto, wanted: Wanted) -> int | None:
    """The fixed batch of its one input of images, None for any."""
    held = {tensor.name for tensor in model.graph.initializer}
    given = [value for value in model.graph.input if value.name not in held]
    if len(given) != 1:
        raise ForeignModel(f"it has {len(given)} inputs; one is needed, the images")
    kind = given[0].type.tensor_type
    sides = [dim.dim_value if dim.HasField("dim_value") else None for dim in kind.shape.dim]
    told = " x ".join("?" if side is None else str(side) for side in sides)
    channels, height, width = wanted.shape
    need = f"float32 (batch, {channels}, {height}, {width})"
    if kind.elem_type != TensorProto.FLOAT or len(sides) != 4:
        type_name = TensorProto.DataType.Name(kind.elem_type).lower()
        raise ForeignModel(f"its input is {type_name} ({told}); these images need {need}, channels first")
    if any(side not in (None, length) for side, length in zip(sides[1:], wanted.shape, strict=True)):
        raise ForeignModel(f"its input is ({told}); these images need {need}: export it for this size")
    batch = sides[0]
    if batch is not None and not 1 <= batch <= MOST_BATCH:
        raise ForeignModel(f"its batch is {batch}; 1 to {MOST_BATCH}, or a free one, are accepted")
    return batch


def _output(model: onnx.ModelProto) -> None:
    if len(model.graph.output) != 1:
        names = ", ".join(value.name for value in model.graph.output)[:80]
        raise ForeignModel(f"it has {len(model.graph.output)} outputs ({names}); one is needed, the classes' scores")


def _alone(model: onnx.ModelProto, images: np.ndarray, wanted: Wanted, batch: int | None) -> np.ndarray:
    """Its logits (n, K), each image asked by itself, and everything around it done in NumPy."""
    running = _session(model)
    name = running.get_inputs()[0].name
    pixels: Any = images * (255 if wanted.pixels == "0..255" else 1)
    if wanted.pixels == "normalised":
        mean, std = (np.array(part, np.float32).reshape(-1, 1, 1) for part in (wanted.mean, wanted.std))
        pixels = (images - mean) / std
    said = []
    for image in pixels.astype(np.float32):
        out = _run(running, name, np.repeat(image[None], batch or 1, axis=0))
        if out.shape != (batch or 1, wanted.classes):
            raise ForeignModel(
                f"its output is {tuple(out.shape)}; ({batch or 1}, {wanted.classes}) is needed, a number for each class"
            )
        said.append(out[0])
    logits = np.stack(said).astype(np.float32)
    if not np.isfinite(logits).all():
        raise ForeignModel("it answers with numbers that are not finite")
    sums = logits.sum(axis=1)
    if wanted.outputs == "probabilities":
        if logits.min() < 0 or np.abs(sums - 1).max() > 0.01:
            raise ForeignModel("its outputs are no probabilities, at least 0 and with sum 1: set outputs to logits")
        return np.log(np.maximum(logits, LEAST))
    if logits.min() >= 0 and np.abs(sums - 1).max() < 1e-3:
        raise ForeignModel("its outputs are probabilities: they sum to 1; set outputs to probabilities")
    return logits


def _same(model: onnx.ModelProto, images: np.ndarray, expected: np.ndarray) -> bool:
    """Whether the converted model gives the expected logits for all images at once."""
    try:
        running = _session(model)
        given = _run(running, running.get_inputs()[0].name, images)
    except ForeignModel:
        return False
    if given.shape != expected.shape:
        return False
    return float(np.abs(given - expected).max()) <= TOLERANCE * max(1.0, float(np.abs(expected).max()))


def _session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ForeignModel(f"ONNX Runtime does not take it: {first_line(error)}") from None


def _run(running: onnxruntime.InferenceSession, name: str, images: np.ndarray) -> np.ndarray:
    try:
        return np.asarray(running.run(None, {name: images})[0])
    except Exception as error:
        raise ForeignModel(f"it does not run on images {images.shape}: {first_line(error)}") from None


def _any_batch(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with a free batch axis; what it says inside about shapes is dropped."""
    free = copy.deepcopy(model)
    del free.graph.value_info[:]
    for value in (*free.graph.input, *free.graph.output):
        dims = value.type.tensor_type.shape.dim
        if dims and value.name not in {tensor.name for tensor in free.graph.initializer}:
            dims[0].ClearField("dim_value")
            dims[0].dim_param = "batch"
    return free


def _scanning(model: onnx.ModelProto, batch: int, classes: int) -> onnx.ModelProto:
    """A model of any batch that runs this one, of a fixed batch, once for each part: padded, then cut to size.

    ONNX's Scan does the loop; the weights stay outside of it.
    """
    body, value = copy.deepcopy(model.graph), copy.deepcopy(_images(model))
    graph = helper.make_graph([], "parts", [value], [copy.deepcopy(body.output[0])], initializer=body.initializer)
    del body.initializer[:], body.value_info[:], body.input[:]
    body.input.append(value)
    sides = [dim.dim_value for dim in value.type.tensor_type.shape.dim]

    def constant(label: str, values: list[int]) -> str:
        graph.initializer.append(numpy_helper.from_array(np.array(values, np.int64), label))
        return label

    def node(kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        graph.node.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    graph.input[0].name, graph.output[0].name = "all", "said"
    zero = constant("zero", [0])
    count = node("Slice", [node("Shape", ["all"], "sizes"), zero, constant("one", [1])], "count")
    missing = node("Mod", [node("Neg", [count], "less"), constant("batch size", [batch])], "missing")
    pads = node("Concat", [constant("before", [0] * 4), missing, constant("after", [0] * 3)], "pads", axis=0)
    parts = node("Reshape", [node("Pad", ["all", pads], "padded"), constant("part", [-1, *sides])], "parts")
    rows = node("Scan", [parts], "rows", body=body, num_scan_inputs=1)
    flat = node("Reshape", [rows, constant("row", [-1, classes])], "flat")
    node("Slice", [flat, zero, count], "said")
    made = copy.deepcopy(model)
    made.graph.CopyFrom(graph)
    return _any_batch(made)


def _images(model: onnx.ModelProto) -> onnx.ValueInfoProto:
    """The one input that is no weight."""
    held = {tensor.name for tensor in model.graph.initializer}
    return next(value for value in model.graph.input if value.name not in held)


def _wrapped(model: onnx.ModelProto, wanted: Wanted) -> onnx.ModelProto:
    """Pixels in [0, 1] to what it takes, before it; what it gives to logits, behind it."""
    made = copy.deepcopy(model)
    graph, name, out = made.graph, _images(made).name, made.graph.output[0].name
    before: list[onnx.NodeProto] = []
    behind: list[onnx.NodeProto] = []

    def constant(label: str, values: object) -> str:
        graph.initializer.append(numpy_helper.from_array(np.array(values, np.float32), f"{PREFIX}{label}"))
        return f"{PREFIX}{label}"

    if wanted.pixels == "0..255":
        before.append(helper.make_node("Mul", ["images", constant("255", 255.0)], [name]))
    elif wanted.pixels == "normalised":
        mean, std = (np.array(part, np.float32).reshape(1, -1, 1, 1) for part in (wanted.mean, wanted.std))
        before.append(helper.make_node("Sub", ["images", constant("mean", mean)], [f"{PREFIX}centred"]))
        before.append(helper.make_node("Div", [f"{PREFIX}centred", constant("std", std)], [name]))
    else:
        before.append(helper.make_node("Identity", ["images"], [name]))
    if wanted.outputs == "probabilities":
        behind.append(helper.make_node("Max", [out, constant("least", LEAST)], [f"{PREFIX}positive"]))
        behind.append(helper.make_node("Log", [f"{PREFIX}positive"], ["logits"]))
    else:
        behind.append(helper.make_node("Identity", [out], ["logits"]))
    made.ir_version = max(made.ir_version, LEAST_IR)
    nodes = [*before, *graph.node, *behind]
    del graph.node[:], graph.input[:], graph.output[:]
    graph.node.extend(nodes)
    graph.input.append(helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", *wanted.shape]))
    graph.output.append(helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", wanted.classes]))
    return made


def _limit(seconds: float) -> None:
    """Bounds what this process may take from now on, where the system can: memory, processor time, sizes of files."""
    try:
        import resource
    except ImportError:
        return
    for what, most in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, math.ceil(time.process_time() + seconds)),
        (resource.RLIMIT_FSIZE, 2 * MOST_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _main() -> None:
    question = json.load(sys.stdin)
    _limit(question["seconds"])
    target = Path(question["target"]) if question["target"] else None
    try:
        answer: dict[str, Any] = adopt(Path(question["path"]), Wanted(**question["wanted"]), target)._asdict()
    except ForeignModel as error:
        answer = {"refused": str(error)}
    except MemoryError:
        answer = {"refused": "it asks for too much memory"}
    print(json.dumps(answer))


if __name__ == "__main__":
    _main()
