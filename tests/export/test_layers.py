from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from kdcore import models, registry
from kdcore.export.layers import layers, rank
from kdcore.export.onnx_file import export
from kdcore.models.cost import macs


def saved(path, nodes, constants, inputs, outputs=(10,)):
    """An ONNX file of these nodes from "images" to "logits"."""
    images, logits = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])
        for name, shape in (("images", inputs), ("logits", outputs))
    )
    tensors = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "g", [images], [logits], tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path


def convolution(path, weight, size=(8, 8), **attributes):
    node = helper.make_node("Conv", ["images", "stage1.conv.weight", "bias"], ["logits"], **attributes)
    bias = np.zeros(len(weight), np.float32)
    channels = weight.shape[1] * attributes.get("group", 1)
    constants = {"stage1.conv.weight": weight, "bias": bias}
    return saved(path, [node], constants, (channels, *size), (len(weight), "h", "w"))


def test_a_convolution_worked_out_by_hand(tmp_path):
    weight = np.ones((4, 3, 3, 3), np.float32)
    weight[1] = 0  # a dead filter
    weight[:, 2] = 0  # a dead channel
    weight[0, 0, 0, 0] = -5
    path = convolution(tmp_path / "m.onnx", weight, pads=[1, 1, 1, 1], strides=[2, 2])
    (found,) = layers(path, (3, 8, 8))
    zeros = 27 + 3 * 9
    histogram = found.pop("histogram")
    assert found == {
        "name": "stage1.conv",
        "type": "Conv",
        "shape": [4, 3, 3, 3],
        "params": 4 * 27 + 4,
        "weights": 108,
        "macs": 108 * 4 * 4,  # each weight once for each of 4x4 places
        "zeros": zeros,
        "sparsity": zeros / 108,
        "filters": 4,
        "zero_filters": 1,
        "channels": 3,
        "zero_channels": 1,
        "mean_abs": pytest.approx((108 - zeros - 1 + 5) / 108),
        "std": pytest.approx(weight.astype(float).std()),
        "bits": 32,
        "rank": 2,  # rows: zeros, all ones but one, and all ones twice
        "distinct": 3,
        "distinct_in_filter": 3,
    }
    assert histogram["edges"][0] == -5
    assert histogram["edges"][-1] == 1
    assert (len(histogram["edges"]), len(histogram["counts"])) == (33, 32)
    assert histogram["counts"][0] == 1
    assert histogram["counts"][-1] == 108 - zeros - 1
    assert sum(histogram["counts"]) == 108


def test_a_grouped_convolution_multiplies_less(tmp_path):
    path = convolution(tmp_path / "m.onnx", np.ones((6, 1, 3, 3), np.float32), group=6)
    (found,) = layers(path, (6, 8, 8))
    assert found["macs"] == 6 * 9 * 6 * 6
    assert (found["filters"], found["channels"]) == (6, 1)


def test_a_product_over_tokens_counts_each_of_them(tmp_path):
    node = helper.make_node("MatMul", ["images", "w"], ["logits"])
    path = saved(tmp_path / "m.onnx", [node], {"w": np.ones((4, 6), np.float32)}, (5, 4), (5, 6))
    (found,) = layers(path, (5, 4))
    assert (found["shape"], found["macs"], found["params"]) == ([6, 4], 24 * 5, 24)


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_statistics_agree_with_their_definitions(tmp_path_factory, outputs, inputs, seed):
    generator = np.random.default_rng(seed)
    weight = generator.standard_normal((outputs, inputs)).astype(np.float32)
    weight *= generator.random(weight.shape) < 0.5
    weight *= generator.random((outputs, 1)) < 0.7
    node = helper.make_node("Gemm", ["images", "head.weight"], ["logits"], transB=1)
    path = tmp_path_factory.getbasetemp() / "statistics.onnx"
    (found,) = layers(saved(path, [node], {"head.weight": weight}, (inputs,), (outputs,)), (inputs,))
    values = weight.astype(float).ravel().tolist()
    assert found["zeros"] == sum(value == 0 for value in values)
    assert found["sparsity"] == pytest.approx(found["zeros"] / (outputs * inputs))
    assert found["zero_filters"] == sum(not any(row) for row in weight.tolist())
    assert found["zero_channels"] == sum(not any(column) for column in weight.T.tolist())
    assert found["mean_abs"] == pytest.approx(sum(map(abs, values)) / len(values), rel=1e-5)
    mean = sum(values) / len(values)
    assert found["std"] == pytest.approx(
        (sum((v - mean) ** 2 for v in values) / len(values)) ** 0.5, rel=1e-4, abs=1e-6
    )
    assert sum(found["histogram"]["counts"]) == len(values)
    assert found["macs"] == len(values)
    assert found["rank"] == np.linalg.matrix_rank(weight)
    assert found["distinct"] == len(set(values))
    assert found["distinct_in_filter"] == max(len(set(row)) for row in weight.tolist())


@pytest.mark.parametrize("shape", [(1, 7), (40, 25), (64, 576), (300, 128)])
def test_the_rank_is_numpys_at_float32(shape):
    generator = np.random.default_rng(0)
    for wanted in {1, max(1, min(shape) // 2)}:
        made = generator.standard_normal((shape[0], wanted)) @ generator.standard_normal((wanted, shape[1]))
        made = made.astype(np.float32)  # whose rounding gives every direction a little
        assert rank(made) == np.linalg.matrix_rank(made.astype(float), rtol=max(shape) * 2.0**-23) == wanted
    assert rank(generator.standard_normal(shape)) == min(shape)
    assert rank(np.zeros(shape, np.float32)) == 0


def test_the_rank_of_very_large_matrices_is_not_told():
    assert rank(np.eye(513, dtype=np.float32)) is None
    assert rank(np.eye(513, 512, dtype=np.float32)) == 512


def test_shared_values_are_counted_once(tmp_path):
    codebook = np.array([-1, -0.25, 0, 0.5], np.float32)
    weight = codebook[np.random.default_rng(0).integers(0, 4, (6, 3, 3, 3))]
    (found,) = layers(convolution(tmp_path / "m.onnx", weight), (3, 8, 8))
    assert (found["distinct"], found["distinct_in_filter"]) == (4, 4)
    scaled = weight * np.arange(1, 7, dtype=np.float32).reshape(6, 1, 1, 1) ** 0.5  # as a folded batch norm does
    (found,) = layers(convolution(tmp_path / "m.onnx", scaled), (3, 8, 8))
    assert (found["distinct"], found["distinct_in_filter"]) == (1 + 3 * 6, 4)


@pytest.mark.parametrize(
    ("architecture", "shape", "options"),
    [("cnn", (1, 8, 8), {"width": 8}), ("mlp", (1, 8, 8), {}), ("resnet", (3, 16, 16), {"depth": 8})],
)
def test_the_layers_of_a_network_add_up_to_it(tmp_path, architecture, shape, options):
    chosen = registry.validate("architecture", {"architecture": architecture, **options})
    network = models.create(chosen, 10, shape, [0.0] * shape[0], [1.0] * shape[0]).eval()
    images = np.random.default_rng(0).random((4, *shape), dtype=np.float32)
    export(network, shape, tmp_path / "m.onnx", images=images)
    found = layers(tmp_path / "m.onnx", shape)
    modules = {n: m for n, m in network.named_modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)}
    assert {layer["name"]: layer["shape"] for layer in found} == {
        name: list(module.weight.shape) for name, module in modules.items()
    }
    assert sum(layer["macs"] for layer in found) == macs(network, shape)
    np.testing.assert_allclose(
        next(layer["std"] for layer in found if layer["name"] == "head"),
        network.head.weight.detach().numpy().std(),
        rtol=1e-5,
    )


@pytest.mark.parametrize("content", [b"", b"garbage" * 50])
def test_what_is_no_model_is_refused(tmp_path, content):
    (tmp_path / "bad.onnx").write_bytes(content)
    with pytest.raises(ValueError, match=r"bad\.onnx is not an ONNX model"):
        layers(tmp_path / "bad.onnx", (1, 8, 8))


def test_shapes_that_depend_on_the_data_are_refused(tmp_path):
    nodes = [
        helper.make_node("NonZero", ["images"], ["where"]),
        helper.make_node("Cast", ["where"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("SomebodysOwn", ["real"], ["odd"], domain="some.where"),
        helper.make_node("MatMul", ["odd", "head.weight"], ["logits"]),
    ]
    path = saved(tmp_path / "m.onnx", nodes, {"head.weight": np.ones((4, 10), np.float32)}, (4,))
    model = onnx.load(path)
    model.opset_import.add(domain="some.where", version=1)
    onnx.save(model, path)
    with pytest.raises(ValueError, match="layer head cannot be inferred"):
        layers(path, (4,))
