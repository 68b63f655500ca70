"""Milliseconds of each layer, from ONNX Runtime's profiler."""

import numpy as np
import onnx
from onnx import helper, numpy_helper

from kdcore.measure.layer_times import layer_times
from kdcore.workspace.workspace import Workspace
from tests.pages.conftest import full_workspace


def test_every_layer_with_weights_is_timed_under_its_name_and_the_large_one_takes_longest():
    workspace = Workspace(full_workspace())
    plan = workspace.plan(workspace.run_ids()[0])
    key = next(one.keys[0] for one in plan.variants if one.name == "teacher")
    names = ["stem.conv", "stage1.conv", "stage2.conv", "head"]
    found = layer_times(workspace.model(key) / "model.onnx", plan.dataset["shape"], batch=16, rounds=20)
    times = {one.layer: one.ms for one in found}
    assert [one.layer for one in found if one.layer] == names
    assert all(ms >= 0 for ms in times.values())
    assert times["stage1.conv"] > times["head"]
    assert len(found) > len(names)  # pooling and the like


def conv(name, size, made, read, channels=32):
    weight = np.ones((channels, channels, size, size), np.float32)
    pads = [size // 2] * 4
    node = helper.make_node("Conv", [read, f"{name}.weight"], [made], kernel_shape=[size, size], pads=pads)
    return node, numpy_helper.from_array(weight, f"{name}.weight")


def test_branches_that_run_in_another_order_keep_their_names(tmp_path):
    """ONNX Runtime computes a block's shortcut before its second convolution."""
    parts = [conv("first", 5, "a", "images"), conv("second", 5, "b", "a"), conv("shortcut", 1, "c", "images")]
    nodes = [*(node for node, _ in parts), helper.make_node("Add", ["b", "c"], ["out"])]
    ends = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", 32, 16, 16]) for name in ("images", "out")
    ]
    graph = helper.make_graph(nodes, "block", ends[:1], ends[1:], [weight for _, weight in parts])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "block.onnx")
    times = {one.layer: one.ms for one in layer_times(tmp_path / "block.onnx", (32, 16, 16), batch=2, rounds=20)}
    assert times.keys() >= {"first", "second", "shortcut"}
    assert times["shortcut"] < min(times["first"], times["second"])
