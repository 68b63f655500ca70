"""Reading an ONNX file of somebody else: a valid model of standard operators, and what it says of its classes."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx
import onnx.inliner
import onnx.version_converter
from onnx import TensorProto, numpy_helper

from kdcore.export.external_onnx import ForeignModel
from kdcore.export.onnx_limits import check_limits
from kdcore.problems import first_line

EXTERNAL = TensorProto.EXTERNAL
DOMAINS = ("", "ai.onnx", "ai.onnx.ml")
LEAST_OPSET = 11  # older files have other forms of the operators that are added
NAMES = ("names", "class_names", "classes", "labels", "id2label")  # under which exporters put the classes' names
RANDOM = ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial")


def opened(path: Path) -> onnx.ModelProto:
    """A model within the limits whose weights are all in the file. Raises ForeignModel."""
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf's DecodeError, whose module differs by version
        raise ForeignModel(f"it is not an ONNX file: {first_line(error)}") from None
    check_limits(model)
    outside = next((one.name for one in tensors(model) if one.data_location == EXTERNAL or one.external_data), None)
    if outside is not None:
        raise ForeignModel(f"its weight {outside[:60]!r} is stored in another file: save it with the weights inside")
    return model


def read(path: Path) -> onnx.ModelProto:
    """A valid model of standard operators whose weights are all in the file."""
    model = opened(path)
    kept = list(model.metadata_props)
    if model.functions:
        try:
            model = onnx.inliner.inline_local_functions(model)
        except Exception as error:
            raise ForeignModel(f"its local functions cannot be inlined: {first_line(error)}") from None
    domains = {node.domain for graph in graphs(model.graph) for node in graph.node} - set(DOMAINS)
    if domains:
        raise ForeignModel(
            f"it uses custom operators ({', '.join(sorted(domains))[:80]}); standard ONNX operators are accepted"
        )
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:
        raise ForeignModel(f"it is not a valid ONNX model: {first_line(error)}") from None
    recent = _recent(model)
    if not recent.metadata_props:  # a conversion loses them
        recent.metadata_props.extend(kept)
    return recent


def _recent(model: onnx.ModelProto) -> onnx.ModelProto:
    version = next((opset.version for opset in model.opset_import if opset.domain in ("", "ai.onnx")), 0)
    if version >= LEAST_OPSET:
        return model
    try:
        return onnx.version_converter.convert_version(model, LEAST_OPSET)
    except Exception:
        raise ForeignModel(f"it is of opset {version}; export it with opset {LEAST_OPSET} or later") from None


def graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """The graph and all graphs within its nodes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs) if attribute.HasField("g") else attribute.graphs:
                yield from graphs(inner)


def tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every tensor that the file holds: initializers, and those in attributes."""
    nodes = [node for function in model.functions for node in function.node]
    for graph in graphs(model.graph):
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
        nodes += graph.node
    for node in nodes:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)


def count(model: onnx.ModelProto) -> tuple[int, int]:
    """Floating-point and quantized numbers in its weights, and how many of them are zero."""
    kinds = {TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL, TensorProto.STRING}
    params = zeros = 0
    for tensor in tensors(model):
        if tensor.data_type not in (TensorProto.UNDEFINED, *kinds):
            values = numpy_helper.to_array(tensor)
            params += values.size
            zeros += int((values == 0).sum()) if values.ndim > 1 else 0
    return params, zeros


def class_order(model: onnx.ModelProto, classes: Sequence[str]) -> list[int]:
    """Which of `classes` each output is, as the file's own metadata name them; empty where they name others, or none.

    Capitals, and lines for spaces, make no difference.
    """
    return order_of(next((one.value for name in NAMES for one in model.metadata_props if one.key == name), ""), classes)


def order_of(named: str, classes: Sequence[str]) -> list[int]:
    """Which of `classes` each output is, as this text of JSON or Python names them; empty where it names others."""
    ours = {_plain(name): index for index, name in enumerate(classes)}
    theirs = [ours.get(_plain(name), -1) for name in _listed(named)]
    return theirs if sorted(theirs) == list(range(len(classes))) else []


def _plain(name: str) -> str:
    return " ".join(name.replace("_", " ").lower().split())


def _listed(text: str) -> list[str]:
    """Names in a list, or by their numbers, in the words of JSON or Python: "{0: 'cat', 1: 'dog'}"."""
    value: Any = None
    for reader in (json.loads, ast.literal_eval):
        try:
            value = reader(text)
            break
        except Exception:  # a hostile text ends in many ways
            continue
    if isinstance(value, Mapping) and all(str(key).isdecimal() for key in value):
        value = [value[key] for key in sorted(value, key=lambda key: int(str(key)))]
    elif isinstance(value, Mapping) and all(isinstance(number, int) for number in value.values()):
        value = sorted(value, key=lambda key: value[key])
    return [str(name) for name in value] if isinstance(value, list | tuple) else []


def check_modes(model: onnx.ModelProto) -> None:
    """Raises ForeignModel for a file that was exported in training mode, so that its answers change."""
    held = {tensor.name: tensor for tensor in model.graph.initializer}
    held |= {
        node.output[0]: node.attribute[0].t
        for node in model.graph.node
        if node.op_type == "Constant" and node.attribute[0].name == "value"
    }
    for node in (node for graph in graphs(model.graph) for node in graph.node):
        training = any(one.name == "training_mode" and one.i for one in node.attribute)
        if node.op_type == "BatchNormalization" and (training or len([name for name in node.output if name]) > 1):
            raise ForeignModel("its batch norm uses batch statistics, as in training: export it after model.eval()")
        switch = node.input[2] if node.op_type == "Dropout" and len(node.input) > 2 else ""
        if switch and (switch not in held or numpy_helper.to_array(held[switch]).any()):
            raise ForeignModel("its dropout is active, as in training: export it after model.eval()")
        if node.op_type in RANDOM:
            raise ForeignModel(f"it draws random numbers ({node.op_type}), so its outputs change: export it without")


def why_together(model: onnx.ModelProto, batch: int | None) -> str:
    """Why it answers otherwise when images are asked together."""
    kinds = {node.op_type for graph in graphs(model.graph) for node in graph.node}
    said = "its outputs depend on the other images of the batch"
    if "DynamicQuantizeLinear" in kinds:
        return (
            f"{said}: it is quantized dynamically, so each image is rounded by the range of the whole batch; "
            "use the file before quantization, or a statically quantized one"
        )
    if batch is None:
        return f"{said}, although its batch axis is dynamic: something in it mixes the images of a batch"
    return f"{said}, and its batch size is fixed to {batch}: export it with a dynamic batch axis"
