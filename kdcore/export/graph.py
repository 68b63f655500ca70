"""ONNX graphs made simple and small; what they compute stays the same."""

from __future__ import annotations

import itertools
import re
import string
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import onnx
from onnx import helper, numpy_helper

SPATIAL = ({-2, -1}, {2, 3})
WEIGHTED = ("Conv", "Gemm", "MatMul")
INTEGER = ("ConvInteger", "MatMulInteger")  # whole numbers in and out: scales are applied to what they give


class Weighted(NamedTuple):
    """A node with weights: the module's path, weight with filters (outputs) first, bias, bits a weight, and the
    name of the constant that holds them."""

    node: onnx.NodeProto
    name: str
    weight: np.ndarray
    bias: np.ndarray | None
    bits: int
    stored: str


class _Links(NamedTuple):
    """Constants by name, and for each tensor the node that makes it and the last that reads it."""

    known: dict[str, onnx.TensorProto]
    makers: dict[str, onnx.NodeProto]
    readers: dict[str, onnx.NodeProto]


def weighted(model: onnx.ModelProto) -> list[Weighted]:
    """The Conv, Gemm and MatMul nodes with constant weights, in order; quantized ones as the numbers they stand for.

    Those of dynamically quantized files too (ConvInteger, MatMulInteger), without the bias, which is a node of its own.
    Raises ValueError where the graph does not show what the whole numbers of such a node are multiplied by.
    """
    nodes = model.graph.node
    links = _Links(
        constants(model),
        {name: node for node in nodes for name in node.output},
        {name: node for node in nodes for name in node.input},
    )
    found = []
    for node in nodes:
        stored = _stored(node.input[1], links) if node.op_type in (*WEIGHTED, *INTEGER) else None
        if stored is None or len(stored.dims) < 2:
            continue
        weight = _real(node.input[1], links) if node.op_type in WEIGHTED else _scaled(node, stored, links)
        if _on_blocks(node, links):
            weight = _from_blocks(weight)
        if not node.op_type.startswith("Conv") and not any(a.name == "transB" and a.i for a in node.attribute):
            weight = np.swapaxes(weight, -1, -2)
        bias = None
        if node.op_type in WEIGHTED and len(node.input) > 2 and _stored(node.input[2], links) is not None:
            bias = _real(node.input[2], links)
        name = stored.name.removesuffix("_quantized").removesuffix(".weight")
        found.append(Weighted(node, name, weight, bias, _bits(stored), stored.name))
    return found


def _stored(name: str, links: _Links) -> onnx.TensorProto | None:
    """The constant behind a node's input, as it is in the file; None when it is computed from the images."""
    if name in links.known or name not in links.makers:
        return links.known.get(name)
    maker = links.makers[name]
    if maker.op_type == "Mul" and maker.input[1] in links.known:  # unpacked: a Cast times the scales
        return _stored(maker.input[0], links)
    return links.known.get(maker.input[0]) if maker.op_type in ("DequantizeLinear", "Cast") else None


def _real(name: str, links: _Links) -> np.ndarray:
    """The same constant as real numbers: (stored - zero point) * scale where it is quantized."""
    if name in links.known:
        return numpy_helper.to_array(links.known[name])
    maker = links.makers[name]
    if maker.op_type == "Cast":
        return numpy_helper.to_array(links.known[maker.input[0]]).astype(np.float32)
    if maker.op_type == "Mul":
        return _real(maker.input[0], links) * numpy_helper.to_array(links.known[maker.input[1]])
    whole, scale, *zero = (numpy_helper.to_array(links.known[given]) for given in maker.input if given)
    axis = next((attribute.i for attribute in maker.attribute if attribute.name == "axis"), 1)
    along = [-1 if place == axis % whole.ndim else 1 for place in range(whole.ndim)] if scale.ndim else []
    offset = zero[0].reshape(along).astype(np.float32) if zero else np.float32(0)
    return (whole.astype(np.float32) - offset) * scale.reshape(along)


def _on_blocks(node: onnx.NodeProto, links: _Links) -> bool:
    """Whether a convolution reads blocks of 2x2 pixels, as `kdcore.export.blocks` makes it."""
    for kind in ("DequantizeLinear", "QuantizeLinear", "SpaceToDepth"):
        maker = links.makers.get(node.input[0])
        if maker is None or maker.op_type != kind:
            return False
        node = maker
    return True


def _from_blocks(weight: np.ndarray) -> np.ndarray:
    """The kernel (O, C, h, w) that was laid out as (O, 4 C, h / 2, w / 2); what made an odd side even is zero."""
    filters, channels, rows, columns = weight.shape
    parts = weight.reshape(filters, 2, 2, channels // 4, rows, columns).transpose(0, 3, 4, 1, 5, 2)
    whole = parts.reshape(filters, channels // 4, 2 * rows, 2 * columns)
    height, width = (2 * side - (not whole.take(-1, axis).any()) for side, axis in ((rows, 2), (columns, 3)))
    return whole[:, :, :height, :width]


def _scaled(node: onnx.NodeProto, stored: onnx.TensorProto, links: _Links) -> np.ndarray:
    """The whole numbers of an integer node as the real ones they stand for.

    The zero point is the node's own. The scale, of all or of each output, is the constant among the factors of its
    result: result -> Cast -> Mul with (scale of the input * scale of the weights).
    """
    whole = numpy_helper.to_array(stored).astype(np.float32)
    filters = 0 if node.op_type == "ConvInteger" else whole.ndim - 1
    along = [-1 if place == filters else 1 for place in range(whole.ndim)]
    zero = numpy_helper.to_array(links.known[node.input[3]]) if len(node.input) > 3 else np.zeros(1)
    scales = [numpy_helper.to_array(links.known[name]) for name in _factors(node, links) if name in links.known]
    if len(scales) != 1:
        raise ValueError(f"the graph does not show what the weights {stored.name} are multiplied by")
    return (whole - zero.astype(np.float32).reshape(along)) * scales[0].reshape(along)


def _factors(node: onnx.NodeProto, links: _Links) -> list[str]:
    """The tensors that the result of an integer node is multiplied by once it is cast to real numbers."""
    cast = links.readers.get(node.output[0])
    product = links.readers.get(cast.output[0]) if cast is not None else None
    if cast is None or product is None or product.op_type != "Mul":
        return []
    other = next((name for name in product.input if name != cast.output[0]), "")
    return list(links.makers[other].input) if other in links.makers else [other]


def _bits(stored: onnx.TensorProto) -> int:
    """Bits that each number of a constant takes in the file."""
    kind = onnx.TensorProto.DataType.Name(stored.data_type)
    narrow = re.fullmatch(r"U?INT([24])", kind)
    return int(narrow[1]) if narrow else 8 * numpy_helper.to_array(stored).itemsize


def constants(model: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    """The initializers by name."""
    return {tensor.name: tensor for tensor in model.graph.initializer}


def simplify(model: onnx.ModelProto) -> None:
    """Writes pooling and flattening as the operators that runtimes are fast at; needs the shapes in `value_info`.

    A mean over height and width becomes GlobalAveragePool, which ONNX Runtime keeps in int8 (an int8 CNN of
    24 channels at batch 64: 756 to 701 µs). A Reshape that keeps the batch becomes Flatten, which, unlike the
    Reshape, is the same for every width.
    """
    known = constants(model)
    shapes = {value.name: value.type.tensor_type.shape.dim for value in model.graph.value_info}
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        if node.op_type == "ReduceMean" and _is_spatial_mean(node, known, shapes):
            nodes += _pooling(node)
        elif node.op_type == "Reshape" and _keeps_batch(node, known, shapes):
            nodes.append(helper.make_node("Flatten", node.input[:1], node.output, name=node.name, axis=1))
        else:
            nodes.append(node)
    _set_nodes(model, nodes)
    _drop_unused(model)


def _is_spatial_mean(node: onnx.NodeProto, known: dict[str, onnx.TensorProto], shapes: dict) -> bool:
    if len(node.input) < 2 or node.input[1] not in known:
        return False
    axes = set(numpy_helper.to_array(known[node.input[1]]).tolist())
    return axes in SPATIAL and len(shapes.get(node.input[0], ())) == 4


def _pooling(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    keeps = next((attribute.i for attribute in node.attribute if attribute.name == "keepdims"), 1)
    if keeps:
        return [helper.make_node("GlobalAveragePool", node.input[:1], node.output, name=node.name)]
    pooled = f"{node.output[0]}_pooled"
    return [
        helper.make_node("GlobalAveragePool", node.input[:1], [pooled], name=node.name),
        helper.make_node("Flatten", [pooled], node.output, name=f"{node.name}_flatten", axis=1),
    ]


def _keeps_batch(node: onnx.NodeProto, known: dict[str, onnx.TensorProto], shapes: dict) -> bool:
    if node.input[1] not in known:
        return False
    target = numpy_helper.to_array(known[node.input[1]]).tolist()
    rest = [dimension.dim_value for dimension in shapes.get(node.input[0], ())][1:]
    return len(target) == 2 and bool(rest) and target == [-1, int(np.prod(rest))] and 0 not in rest


def slim(model: onnx.ModelProto) -> None:
    """Removes what running the model does not need: notes, shapes, names of nodes, default attributes, unused
    constants and opsets, and long names between nodes. Inputs, outputs and initializers keep their names."""
    graph = model.graph
    del model.metadata_props[:], graph.metadata_props[:], graph.value_info[:]
    model.doc_string = graph.doc_string = ""
    for value in itertools.chain(graph.input, graph.output, graph.initializer):
        del value.metadata_props[:]
        value.doc_string = ""
    versions = {opset.domain: opset.version for opset in model.opset_import}
    for node in graph.node:
        node.name = node.doc_string = ""
        del node.metadata_props[:]
        _drop_defaults(node, versions)
    _drop_unused(model)
    _shorten(graph)
    used = {node.domain for node in graph.node}
    kept = [opset for opset in model.opset_import if opset.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)


def _drop_defaults(node: onnx.NodeProto, versions: dict[str, int]) -> None:
    try:
        schema = onnx.defs.get_schema(node.op_type, versions[node.domain], node.domain)
    except onnx.defs.SchemaError:
        return
    kept = [
        attribute
        for attribute in node.attribute
        if attribute.name not in schema.attributes
        or not schema.attributes[attribute.name].default_value.name
        or helper.get_attribute_value(attribute)
        != helper.get_attribute_value(schema.attributes[attribute.name].default_value)
    ]
    del node.attribute[:]
    node.attribute.extend(kept)


def nests(graph: onnx.GraphProto) -> bool:
    """Whether nodes hold graphs of their own, which may read the outer names."""
    return any(attribute.HasField("g") or attribute.graphs for node in graph.node for attribute in node.attribute)


def _shorten(graph: onnx.GraphProto) -> None:
    if nests(graph):
        return
    fixed = {value.name for value in itertools.chain(graph.input, graph.output, graph.initializer)}
    fresh = (name for name in _names() if name not in fixed)
    short = {name: name for name in (*fixed, "")}
    for node in graph.node:
        for output in node.output:
            short[output] = short.get(output) or next(fresh)
        node.input[:] = [short[name] for name in node.input]
        node.output[:] = [short[name] for name in node.output]


def _names() -> Iterator[str]:
    for length in itertools.count(1):
        yield from map("".join, itertools.product(string.ascii_lowercase, repeat=length))


def _drop_unused(model: onnx.ModelProto) -> None:
    used = {name for node in model.graph.node for name in node.input} | {v.name for v in model.graph.output}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    if len(kept) < len(model.graph.initializer):
        del model.graph.initializer[:]
        model.graph.initializer.extend(kept)


def _set_nodes(model: onnx.ModelProto, nodes: list[onnx.NodeProto]) -> None:
    del model.graph.node[:]
    model.graph.node.extend(nodes)
