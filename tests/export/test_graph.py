from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper, parser

from kdcore.export.graph import simplify, slim, weighted


def parsed(text: str, **constants: np.ndarray) -> onnx.ModelProto:
    """A model from ONNX's own text form, with these constants and inferred shapes."""
    model = parser.parse_model(text)
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    return onnx.shape_inference.infer_shapes(model)


def run(model: onnx.ModelProto, images: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": images})[0]


def ops(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


HEAD = '<ir_version: 10, opset_import: ["" : 20]>'
IMAGES = np.random.default_rng(0).random((3, 4, 5, 6), dtype=np.float32)


@pytest.mark.parametrize(
    ("axes", "keepdims", "made"),
    [
        ([-1, -2], 1, ["GlobalAveragePool"]),
        ([2, 3], 1, ["GlobalAveragePool"]),
        ([3, 2], 0, ["GlobalAveragePool", "Flatten"]),
        ([1, 2], 1, ["ReduceMean"]),
        ([3], 1, ["ReduceMean"]),
    ],
)
def test_a_mean_over_height_and_width_becomes_global_average_pooling(axes, keepdims, made):
    model = parsed(
        f"""{HEAD} g (float[N, 4, 5, 6] x) => (float y) {{
            r = Relu(x)
            y = ReduceMean<keepdims={keepdims}>(r, axes)
        }}""",
        axes=np.array(axes),
    )
    before = run(model, IMAGES)
    simplify(model)
    assert ops(model) == ["Relu", *made]
    np.testing.assert_allclose(run(model, IMAGES), before, rtol=1e-6)


def test_a_mean_over_tokens_stays():
    model = parsed(
        f"{HEAD} g (float[N, 4, 5] x) => (float[N, 1, 1] y) {{ r = Relu(x) \n y = ReduceMean<keepdims=1>(r, axes) }}",
        axes=np.array([-1, -2]),
    )
    simplify(model)
    assert ops(model) == ["Relu", "ReduceMean"]


@pytest.mark.parametrize(
    ("target", "made"), [([-1, 120], "Flatten"), ([-1, 60], "Reshape"), ([-1, 4, 30], "Reshape"), ([3, -1], "Reshape")]
)
def test_a_reshape_that_keeps_the_batch_becomes_flatten(target, made):
    model = parsed(
        f"{HEAD} g (float[N, 4, 5, 6] x) => (float y) {{ r = Relu(x) \n y = Reshape(r, target) }}",
        target=np.array(target),
    )
    before = run(model, IMAGES)
    simplify(model)
    assert ops(model) == ["Relu", made]
    assert len(model.graph.initializer) == (made == "Reshape")
    np.testing.assert_array_equal(run(model, IMAGES), before)


def convolution() -> onnx.ModelProto:
    model = parsed(
        f"""{HEAD} g (float[N, 4, 5, 6] x) => (float[N, 8, 5, 6] y) {{
            a_very_long_name = Conv<pads=[1,1,1,1], group=1, strides=[1,1], dilations=[1,1]>(x, w)
            another_long_name = LeakyRelu<alpha=0.01>(a_very_long_name)
            y = LeakyRelu<alpha=0.3>(another_long_name)
        }}""",
        w=np.random.default_rng(1).standard_normal((8, 4, 3, 3)).astype(np.float32),
        unused=np.zeros(100, np.float32),
    )
    for place, node in enumerate(model.graph.node):
        node.name, node.doc_string = f"node_{place}", "notes"
        node.metadata_props.add(key="where", value="some/file.py")
    model.metadata_props.add(key="producer", value="somebody")
    model.opset_import.add(domain="com.microsoft", version=1)
    return model


def test_slimming_keeps_what_is_computed_and_drops_what_is_told():
    model = convolution()
    before, size = run(model, IMAGES), model.ByteSize()
    slim(model)
    np.testing.assert_array_equal(run(model, IMAGES), before)
    assert [value.name for value in (*model.graph.input, *model.graph.output)] == ["x", "y"]
    assert [tensor.name for tensor in model.graph.initializer] == ["w"]
    assert [opset.domain for opset in model.opset_import] == [""]
    assert not model.metadata_props
    assert not model.graph.value_info
    assert not any(node.name or node.doc_string or node.metadata_props for node in model.graph.node)
    told = [{attribute.name for attribute in node.attribute} for node in model.graph.node]
    assert told == [{"pads", "strides", "dilations"}, set(), {"alpha"}]  # only what differs from the default
    assert model.ByteSize() < size - 400


def test_slimming_twice_changes_nothing_more():
    model = convolution()
    slim(model)
    once = model.SerializeToString()
    slim(model)
    assert model.SerializeToString() == once


def test_short_names_never_meet_the_names_that_stay():
    model = parsed(
        f"""{HEAD} g (float[N, 4] x) => (float[N, 4] b) {{
            first = Add(x, a)
            second = Mul(first, c)
            b = Relu(second)
        }}""",
        a=np.ones(4, np.float32),
        c=np.full(4, 2, np.float32),
    )
    slim(model)
    given = run(model, np.ones((1, 4), np.float32))
    np.testing.assert_array_equal(given, np.full((1, 4), 4, np.float32))


def test_names_that_an_inner_graph_reads_stay():
    branch = [helper.make_graph([helper.make_node(op, ["outer"], [op])], op, [], [value(op)]) for op in ("Relu", "Neg")]
    nodes = [
        helper.make_node("Abs", ["x"], ["outer"]),
        helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0),
        helper.make_node("Greater", ["sum", "zero"], ["positive"]),
        helper.make_node("If", ["positive"], ["y"], then_branch=branch[0], else_branch=branch[1]),
    ]
    zero = numpy_helper.from_array(np.float32(0), "zero")
    graph = helper.make_graph(nodes, "g", [value("x")], [value("y")], [zero])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    slim(model)
    given = run(model, np.array([[-3.0, 1.0]], np.float32))
    np.testing.assert_array_equal(given, [[-3.0, -1.0]])


def value(name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 2])


WEIGHT = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.mark.parametrize(
    ("node", "stored"),
    [
        ("Gemm<transB=1>(x, layer.weight, bias)", WEIGHT),
        ("Gemm(x, layer.weight, bias)", WEIGHT.T.copy()),
        ("MatMul(x, layer.weight)", WEIGHT.T.copy()),
    ],
)
def test_weights_come_with_filters_first_whatever_the_node(node, stored):
    node = node.replace("layer.weight", "w")
    model = parsed(f"{HEAD} g (float[N, 3] x) => (float[N, 2] y) {{ y = {node} }}", w=stored, bias=np.ones(2, "f"))
    (layer,) = weighted(model)
    np.testing.assert_array_equal(layer.weight, WEIGHT)
    assert (layer.name, layer.bits, layer.bias is None) == ("w", 32, "MatMul" in node)


def test_the_module_path_is_read_from_the_name_of_the_weight():
    nodes = [helper.make_node("MatMul", ["x", "stage1.0.linear.weight"], ["y"])]
    constant = numpy_helper.from_array(WEIGHT.T.copy(), "stage1.0.linear.weight")
    graph = helper.make_graph(nodes, "g", [value("x")], [value("y")], [constant])
    assert weighted(helper.make_model(graph))[0].name == "stage1.0.linear"


def test_products_of_two_computed_tensors_have_no_weights():
    model = parsed(f"{HEAD} g (float[N, 3] x) => (float[N, N] y) {{ t = Transpose(x) \n y = MatMul(x, t) }}")
    assert weighted(model) == []


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_quantized_weights_are_told_as_the_numbers_that_they_stand_for(axis):
    whole = np.array([[-128, 0, 127], [1, 2, 3]], np.int8)
    scale = np.array([0.5, 2.0], np.float32) if axis == 0 else np.array([0.5, 2.0, 4.0], np.float32)
    zero = np.arange(len(scale), dtype=np.int8)
    model = parsed(
        f"""{HEAD} g (float[N, 3] x) => (float[N, 2] y) {{
            r = DequantizeLinear<axis={axis}>(w_quantized, scale, zero)
            y = Gemm<transB=1>(x, r)
        }}""",
        w_quantized=whole,
        scale=scale,
        zero=zero,
    )
    (layer,) = weighted(model)
    by_hand = {
        0: [[-64, 0, 63.5], [0, 2, 4]],
        1: [[-64, -2, 500], [0.5, 2, 4]],
        -1: [[-64, -2, 500], [0.5, 2, 4]],
    }[axis]
    np.testing.assert_array_equal(layer.weight, by_hand)
    assert (layer.name, layer.bits) == ("w", 8)
