"""Multiply-accumulates of any ONNX model, by the shapes that its tensors have when it runs."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping

import numpy as np
import onnx
import onnxruntime
from onnx import helper

Shapes = Mapping[str, tuple[int, ...]]
COUNTED = ("Conv", "ConvInteger", "QLinearConv", "ConvTranspose", "Gemm", "MatMul", "MatMulInteger", "QLinearMatMul")
UNCOUNTED = ("Einsum", "LSTM", "GRU", "RNN", "Attention", "DeformConv")  # they multiply in ways that are not counted
WEIGHT = {"QLinearConv": 3, "QLinearMatMul": 3}  # which input is the second factor, where it is not the one at 1


def macs(model: onnx.ModelProto, images: np.ndarray) -> int | None:
    """Multiply-accumulates of one image of a batch, as the model takes it; None where they cannot be inferred.

    Counts convolutions and matrix products, those between activations too. Runs the model.
    """
    inner = {node.op_type for node in _inner(model.graph)}
    kinds = {node.op_type for node in model.graph.node}
    if inner & {*COUNTED, *UNCOUNTED} or kinds & {*UNCOUNTED}:
        return None
    nodes = [node for node in model.graph.node if node.op_type in COUNTED]
    try:
        shapes = run_shapes(model, images, {name for node in nodes for name in (*node.input, *node.output) if name})
        return sum(_of(node, shapes) for node in nodes) // len(images) or None
    except Exception:  # ONNX Runtime's have no common base; a graph that it does not take so is not counted
        return None


def run_shapes(model: onnx.ModelProto, images: np.ndarray, names: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """The shapes that these tensors have when the model is given `images`; those of constants too.

    Raises what ONNX Runtime raises.
    """
    held = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    made = {name for node in model.graph.node for name in node.output}
    asked = sorted({*names} & made)
    seen = copy.deepcopy(model)
    del seen.graph.output[:]
    seen.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in asked)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    running = onnxruntime.InferenceSession(seen.SerializeToString(), options, providers=["CPUExecutionProvider"])
    entry = running.get_inputs()[0].name
    found = running.run(asked, {entry: images})
    shapes = {name: tuple(value.shape) for name, value in zip(asked, found, strict=True)}
    return held | {entry: images.shape} | shapes


def _inner(graph: onnx.GraphProto) -> Iterable[onnx.NodeProto]:
    """The nodes of graphs within nodes."""
    for node in graph.node:
        for attribute in node.attribute:
            for part in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                yield from part.node
                yield from _inner(part)


def _of(node: onnx.NodeProto, shapes: Shapes) -> int:
    first, out = shapes[node.input[0]], shapes[node.output[0]]
    weight = shapes[node.input[WEIGHT.get(node.op_type, 1)]]
    if node.op_type == "ConvTranspose":
        return math.prod(first) * math.prod(weight[1:])
    if "Conv" in node.op_type:
        return math.prod(out) * math.prod(weight[1:])
    turned = any(one.name == "transA" and one.i for one in node.attribute)
    return math.prod(out) * first[0 if turned else -1]
