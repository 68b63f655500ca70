"""Strided convolutions on blocks of 2x2 pixels give the very numbers that they gave before."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from kdcore.export import runtime
from kdcore.export.blocks import block
from kdcore.export.graph import weighted


def quantized(kernel=(7, 7), size=(20, 20), pads=(3, 3, 3, 3), channels=3, **attributes):
    """A model of one convolution in int8."""
    chance = np.random.default_rng(0)
    known = {
        "scale": np.float32(0.02),
        "zero": np.uint8(113),
        "stem.weight": chance.integers(-127, 128, (8, channels // attributes.get("group", 1), *kernel), dtype=np.int8),
        "scales": chance.uniform(0.001, 0.01, 8).astype(np.float32),
        "zeros": np.zeros(8, np.int8),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["images", "scale", "zero"], ["codes"]),
        helper.make_node("DequantizeLinear", ["codes", "scale", "zero"], ["real"]),
        helper.make_node("DequantizeLinear", ["stem.weight", "scales", "zeros"], ["weight"], axis=0),
        helper.make_node("Conv", ["real", "weight"], ["out"], pads=pads, **{"strides": (2, 2), **attributes}),
    ]
    shapes = {"images": ["N", channels, *size], "out": ["N", 8, None, None]}
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    weights = [numpy_helper.from_array(np.asarray(value), name) for name, value in known.items()]
    graph = helper.make_graph(nodes, "stem", ends[:1], ends[1:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def outputs(model, size, channels=3):
    onnx.checker.check_model(model)
    images = np.random.default_rng(1).uniform(-2, 2, (2, channels, *size)).astype(np.float32)
    return runtime.logits(runtime.session(model.SerializeToString()), images)


@pytest.mark.parametrize(
    ("kernel", "size", "pads"),
    [
        ((7, 7), (20, 20), (3, 3, 3, 3)),
        ((7, 7), (21, 18), (3, 3, 3, 3)),
        ((3, 3), (20, 20), (1, 1, 1, 1)),
        ((3, 3), (21, 21), (0, 0, 0, 0)),
        ((4, 5), (19, 20), (0, 1, 2, 1)),
        ((6, 6), (16, 16), (2, 2, 2, 2)),
    ],
)
def test_the_numbers_and_the_layers_weights_stay(kernel, size, pads):
    before, after = (quantized(kernel, size, pads) for _ in range(2))
    block(after, (3, *size))
    assert "SpaceToDepth" in [node.op_type for node in after.graph.node]
    assert outputs(after, size) == pytest.approx(outputs(before, size), abs=1e-4)  # sums of floats, up to 60
    was, now = weighted(before)[0], weighted(after)[0]
    assert np.array_equal(was.weight, now.weight)
    assert (was.name, was.bits) == (now.name, now.bits)


@pytest.mark.parametrize(
    "other", [{"strides": (1, 1)}, {"channels": 8}, {"channels": 4, "group": 4}, {"dilations": (2, 2)}]
)
def test_other_convolutions_are_left_alone(other):
    model = quantized((3, 3), pads=(1, 1, 1, 1), **other)
    kept = model.SerializeToString()
    block(model, (other.get("channels", 3), 20, 20))
    assert model.SerializeToString() == kept
