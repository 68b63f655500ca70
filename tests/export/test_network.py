"""The graph of an ONNX file: layers, joins and the ways between them."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from kdcore.export.network import network
from kdcore.workspace.workspace import Workspace
from tests.small import full_workspace


def save(path, nodes, weights):
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", 4, 8, 8]) for name in ("images", "out")]
    graph = helper.make_graph(nodes, "block", ends[:1], ends[1:], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def test_a_residual_block_has_two_ways_to_its_sum(tmp_path):
    weights = [numpy_helper.from_array(np.ones((4, 4, 1, 1), np.float32), f"{name}.weight") for name in ("a", "b")]
    nodes = [
        helper.make_node("Conv", ["images", "a.weight"], ["one"]),
        helper.make_node("Relu", ["one"], ["two"]),
        helper.make_node("Conv", ["two", "b.weight"], ["three"]),
        helper.make_node("Add", ["three", "two"], ["out"]),
    ]
    save(tmp_path / "model.onnx", nodes, weights)
    found = network(tmp_path / "model.onnx", (4, 8, 8))
    assert [(node.operator, node.layer, node.then, node.inputs) for node in found] == [
        ("input", None, (), ()), ("Conv", "a", ("Relu",), (0,)), ("Conv", "b", (), (1,)), ("Add", None, (), (2, 1)),
    ]  # fmt: skip
    assert {node.shape for node in found} == {(4, 8, 8)}


def test_a_quantized_file_has_the_graph_of_the_one_it_was_made_from():
    workspace = Workspace(full_workspace())
    plan = workspace.plan(workspace.run_ids()[0])
    keys = {one.name: one.keys[0] for one in plan.variants}
    found = [
        network(workspace.model(keys[name]) / "model.onnx", plan.dataset["shape"]) for name in ("pruned 50 %", "int8")
    ]
    before, after = ([(node.layer, node.shape, node.inputs) for node in nodes] for nodes in found)
    assert before == after
    assert [layer for layer, *_ in before if layer] == ["stem.conv", "stage1.conv", "stage2.conv", "head"]


def test_what_is_no_model_is_said(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="not an ONNX model"):
        network(tmp_path / "model.onnx", (4, 8, 8))
