"""The network of an ONNX file as a graph of its layers: what has weights, what joins branches, what changes shapes.

All else (activations, normalisation, quantization, casts) belongs to the layer whose output it works on.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import onnx

from kdcore.export.graph import constants, weighted
from kdcore.export.layers import checked, output_sizes
from kdcore.inputs import Shape

POOLS = ("GlobalAveragePool", "GlobalMaxPool", "AveragePool", "MaxPool", "ReduceMean")
FOLLOWING = (
    "Relu", "Clip", "LeakyRelu", "PRelu", "Elu", "Selu", "Gelu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Erf",
    "Softmax", "BatchNormalization", "LayerNormalization", "InstanceNormalization",
)  # fmt: skip
INPUT = "input"


class Node(NamedTuple):
    """A part of the network.

    `layer`: the name of the layer with weights, None of others; `then`: activations and normalisation of its output;
    `shape`: of that output for one image, without the batch, () where unknown; `inputs`: the places of the nodes that
    feed it.
    """

    operator: str
    layer: str | None
    then: tuple[str, ...]
    shape: tuple[int, ...]
    inputs: tuple[int, ...]


class Parts(NamedTuple):
    """`nodes` in the order of the graph, the images' input first, and the place of the node that each tensor is of."""

    nodes: list[Node]
    of: dict[str, int]


def network(path: Path, shape: Shape) -> list[Node]:
    """The graph of a file for inputs of this shape. Raises ValueError for a file that is no ONNX model."""
    model = checked(path)
    return parts(model, output_sizes(model, shape)).nodes


def parts(model: onnx.ModelProto, sizes: dict[str, tuple[int, ...]]) -> Parts:
    """The graph of a model, `sizes` being the shapes of its tensors with the batch."""
    names = {layer.node.output[0]: layer.name for layer in weighted(model)}
    held = constants(model).keys()
    images = next(one for one in model.graph.input if one.name not in held)
    nodes = [Node(INPUT, None, (), tuple(one.dim_value for one in images.type.tensor_type.shape.dim)[1:], ())]
    of = {images.name: 0}
    for node in model.graph.node:
        inputs = tuple(dict.fromkeys(of[name] for name in node.input if name in of))
        layer = names.get(node.output[0])
        if layer or len(inputs) > 1 or (inputs and node.op_type in POOLS):
            nodes.append(Node(node.op_type, layer, (), (), inputs))
            place = len(nodes) - 1
        elif inputs:
            place = inputs[0]
            if node.op_type in FOLLOWING:
                nodes[place] = nodes[place]._replace(then=(*nodes[place].then, node.op_type))
        else:
            continue  # computed from constants alone
        made = node.output[:1] if node.op_type == "DynamicQuantizeLinear" else node.output  # the others are its scale
        of |= dict.fromkeys(made, place)
        if size := sizes.get(node.output[0]):
            nodes[place] = nodes[place]._replace(shape=size[1:])
    return Parts(nodes, of)
