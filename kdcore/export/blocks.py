"""Strided convolutions of few channels in int8 files, computed on blocks of 2x2 pixels: the same numbers, sooner.

ONNX Runtime gathers the pixels that a kernel covers before it multiplies. With three channels it copies three bytes at
a time, which takes longer than the arithmetic. Laid side by side, four pixels are one of twelve channels; a kernel laid
out likewise goes over them with stride 1. The sums of whole numbers stay what they were, bit by bit. It comes before
the rounding, because older versions of ONNX Runtime have SpaceToDepth for real numbers only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from kdcore.export.graph import constants
from kdcore.export.layers import output_sizes

MOST_CHANNELS = 4  # with more, the copies are long enough


def block(model: onnx.ModelProto, shape: Sequence[int]) -> None:
    """Rewrites such convolutions of a quantized model for images (C, H, W), in place."""
    known = constants(model)
    makers = {output: node for node in model.graph.node for output in node.output}
    readers = Counter(name for node in model.graph.node for name in node.input)
    sizes = output_sizes(model, shape)
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        codes = _codes(node, makers, readers) if node.op_type == "Conv" else None
        if codes is not None and _fits(node, makers, known):
            at = nodes.index(codes)
            nodes[at:at] = _blocked(model, node, codes, known[makers[node.input[1]].input[0]], sizes[codes.output[0]])
        nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _codes(
    node: onnx.NodeProto, makers: Mapping[str, onnx.NodeProto], readers: Mapping[str, int]
) -> onnx.NodeProto | None:
    """The QuantizeLinear whose whole numbers a convolution reads, and nothing else."""
    for kind in ("DequantizeLinear", "QuantizeLinear"):
        maker = makers.get(node.input[0])
        if maker is None or maker.op_type != kind or readers[maker.output[0]] > 1:
            return None
        node = maker
    return node


def _fits(node: onnx.NodeProto, makers: Mapping[str, onnx.NodeProto], known: Mapping[str, onnx.TensorProto]) -> bool:
    """Whether a convolution with int8 weights has few channels and moves by two pixels."""
    weight = makers.get(node.input[1])
    if weight is None or weight.op_type != "DequantizeLinear" or weight.input[0] not in known:
        return False
    given, dims = _attributes(node), known[weight.input[0]].dims
    if given.get("strides") != [2, 2] or given.get("group", 1) > 1 or max(given.get("dilations", [1])) > 1:
        return False
    return "auto_pad" not in given and dims[1] <= MOST_CHANNELS and min(dims[2:]) > 2


def _blocked(
    model: onnx.ModelProto,
    node: onnx.NodeProto,
    codes: onnx.NodeProto,
    weight: onnx.TensorProto,
    size: tuple[int, ...],
) -> list[onnx.NodeProto]:
    """Rearranges kernel and attributes; returns the nodes that pad what is to be rounded, of `size`, and lay it out."""
    kernel = numpy_helper.to_array(weight)
    top, left, bottom, right = _attributes(node).get("pads", [0] * 4)
    ends = [
        _end(length, before, after, side)
        for length, before, after, side in zip(size[2:], (top, left), (bottom, right), kernel.shape[2:], strict=True)
    ]
    padded, laid, pads = (f"{node.output[0]}_{part}" for part in ("padded", "blocks", "pads"))
    weight.CopyFrom(numpy_helper.from_array(_laid_out(kernel), weight.name))
    model.graph.initializer.append(numpy_helper.from_array(np.array([0, 0, top, left, 0, 0, *ends]), pads))
    made = [
        helper.make_node("Pad", [codes.input[0], pads], [padded]),
        helper.make_node("SpaceToDepth", [padded], [laid], blocksize=2),
    ]
    codes.input[0] = laid
    del node.attribute[:]
    return made


def _end(length: int, before: int, after: int, side: int) -> int:
    """Pixels to add at the end, so that there are as many whole blocks as the rearranged kernel visits."""
    outputs = (length + before + after - side) // 2 + 1
    return 2 * (outputs + (side + 1) // 2 - 1) - length - before


def _laid_out(kernel: np.ndarray) -> np.ndarray:
    """(O, C, h, w) to (O, 4 C, h / 2, w / 2), rounded up; the channels of a block in the order of SpaceToDepth."""
    filters, channels, height, width = kernel.shape
    even = np.pad(kernel, ((0, 0), (0, 0), (0, height % 2), (0, width % 2)))
    rows, columns = even.shape[2] // 2, even.shape[3] // 2
    parts = even.reshape(filters, channels, rows, 2, columns, 2)
    return np.ascontiguousarray(parts.transpose(0, 3, 5, 1, 2, 4).reshape(filters, 4 * channels, rows, columns))


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
