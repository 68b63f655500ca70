"""Putting an ONNX file of somebody else into our convention: our inputs before it, logits behind it, any batch."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from kdcore.export.external_onnx import Wanted, WantedTexts

PREFIX = "model."  # of the file's own names, so that those that are added are free
LEAST = 1e-6  # a probability of zero counts as this much: its logarithm must be a number
LEAST_IR = 8  # older ones want every weight among the inputs

Takes = Mapping[str, onnx.ValueInfoProto]  # the inputs of a classifier of texts: "ids", "mask", "types"


class Fit(NamedTuple):
    """How a file takes its images and answers.

    `batch`: the one that it is fixed to, None for any. `last`: whether channels come last. `takes`, `gives`: kinds of
    its numbers (TensorProto). `repeats`: whether it takes three channels of images that have one.
    """

    batch: int | None
    last: bool
    takes: int
    gives: int
    repeats: bool


def any_batch(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with a free batch axis; what it says inside about shapes is dropped."""
    free = copy.deepcopy(model)
    del free.graph.value_info[:]
    for value in (*free.graph.input, *free.graph.output):
        dims = value.type.tensor_type.shape.dim
        if dims and value.name not in {tensor.name for tensor in free.graph.initializer}:
            dims[0].ClearField("dim_value")
            dims[0].dim_param = "batch"
    return free


def scanning(model: onnx.ModelProto, batch: int, classes: int) -> onnx.ModelProto:
    """A model of any batch that runs this one, of a fixed batch, once for each part: padded, then cut to size.

    ONNX's Scan does the loop; the weights stay outside of it.
    """
    body, value = copy.deepcopy(model.graph), copy.deepcopy(images_of(model))
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
    return any_batch(made)


def images_of(model: onnx.ModelProto) -> onnx.ValueInfoProto:
    """The one input that is no weight."""
    held = {tensor.name for tensor in model.graph.initializer}
    return next(value for value in model.graph.input if value.name not in held)


class _Graph:
    """A graph that is grown at both ends."""

    def __init__(self, graph: onnx.GraphProto):
        self.graph = graph
        self.before: list[onnx.NodeProto] = []
        self.behind: list[onnx.NodeProto] = []

    def constant(self, label: str, values: object, kind: Any = np.float32) -> str:
        self.graph.initializer.append(numpy_helper.from_array(np.array(values, kind), f"{PREFIX}{label}"))
        return f"{PREFIX}{label}"

    def then(self, nodes: list[onnx.NodeProto], kind: str, *inputs: str, **attributes: Any) -> str:
        """Adds a node to one of the ends; the name of what it gives."""
        end = "before" if nodes is self.before else "behind"
        output = f"{PREFIX}{end} {len(nodes)}"
        nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output


def wrapped(model: onnx.ModelProto, wanted: Wanted, fit: Fit) -> onnx.ModelProto:
    """Pixels in [0, 1] to what it takes, before it; what it gives to logits, behind it."""
    made = copy.deepcopy(model)
    grown, name, out = _Graph(made.graph), images_of(made).name, made.graph.output[0].name
    _rename(_before(grown, wanted, fit), name, grown.before)
    _rename(_behind(grown, wanted, fit.gives, out), "logits", grown.behind)
    return _closed(made, grown, helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", *wanted.shape]),
                   wanted.classes)  # fmt: skip


def wrapped_texts(model: onnx.ModelProto, wanted: WantedTexts, takes: Takes, gives: int) -> onnx.ModelProto:
    """Ids, padded with 0, to all that it takes, before it; what it gives to logits, behind it."""
    made = copy.deepcopy(model)
    grown, out = _Graph(made.graph), made.graph.output[0].name
    zero = grown.constant("zero", 0, np.int64)
    for role, value in takes.items():
        here = "ids"
        if role == "mask":
            here = grown.then(grown.before, "Not", grown.then(grown.before, "Equal", here, zero))
        elif role == "types":
            here = grown.then(grown.before, "Mul", here, zero)
        grown.before.append(helper.make_node("Cast", [here], [value.name], to=value.type.tensor_type.elem_type))
    _rename(_behind(grown, wanted, gives, out), "logits", grown.behind)
    return _closed(made, grown, helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "length"]),
                   wanted.classes)  # fmt: skip


def _closed(made: onnx.ModelProto, grown: _Graph, given: onnx.ValueInfoProto, classes: int) -> onnx.ModelProto:
    """The model with what has grown at both ends, this input, and logits."""
    graph = made.graph
    made.ir_version = max(made.ir_version, LEAST_IR)
    nodes = [*grown.before, *graph.node, *grown.behind]
    del graph.node[:], graph.input[:], graph.output[:]
    graph.node.extend(nodes)
    graph.input.append(given)
    graph.output.append(helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", classes]))
    return made


def _rename(given: str, wanted: str, nodes: list[onnx.NodeProto]) -> None:
    """Has the end give a tensor of this name."""
    if nodes:
        nodes[-1].output[0] = wanted
    else:
        nodes.append(helper.make_node("Identity", [given], [wanted]))


def _before(grown: _Graph, wanted: Wanted, fit: Fit) -> str:
    nodes, here = grown.before, "images"
    if fit.repeats:
        here = grown.then(nodes, "Concat", *[here] * 3, axis=1)
    if wanted.pixels == "0..255":
        here = grown.then(nodes, "Mul", here, grown.constant("255", 255.0))
    elif wanted.pixels == "normalised":
        mean, std = (np.array(part, np.float32).reshape(1, -1, 1, 1) for part in (wanted.mean, wanted.std))
        here = grown.then(nodes, "Sub", here, grown.constant("mean", mean))
        here = grown.then(nodes, "Div", here, grown.constant("std", std))
    if fit.last:
        here = grown.then(nodes, "Transpose", here, perm=[0, 2, 3, 1])
    return here if fit.takes == TensorProto.FLOAT else grown.then(nodes, "Cast", here, to=fit.takes)


def _behind(grown: _Graph, wanted: Wanted | WantedTexts, gives: int, here: str) -> str:
    nodes = grown.behind
    if gives != TensorProto.FLOAT:
        here = grown.then(nodes, "Cast", here, to=TensorProto.FLOAT)
    if wanted.outputs == "probabilities":
        here = grown.then(nodes, "Log", grown.then(nodes, "Max", here, grown.constant("least", LEAST)))
    elif wanted.outputs == "sigmoid":
        bounds = (grown.constant(name, value) for name, value in (("least", LEAST), ("most", 1 - LEAST)))
        here = grown.then(nodes, "Clip", here, *bounds)
        rest = grown.then(nodes, "Sub", grown.constant("whole", 1.0), here)
        here = grown.then(nodes, "Log", grown.then(nodes, "Div", here, rest))
    if len(wanted.order):
        places = grown.constant("places", np.argsort(wanted.order), np.int64)
        here = grown.then(nodes, "Gather", here, places, axis=1)
    return here
