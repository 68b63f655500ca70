"""A file's graph in the place of a network."""

from __future__ import annotations

import copy

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from kdcore.export import runtime
from kdcore.export.graph_network import GraphNetwork

IMAGES = torch.rand(6, 2, 8, 8, generator=torch.Generator().manual_seed(0))
NAMES = ("forward", "a..b/weight:0")  # a file may call its weights what no attribute can be called


def file(names=NAMES, tied=False):
    """Convolution, convolution, mean over places, and a matrix product whose weight has its inputs first."""
    random = np.random.default_rng(0)
    tensors = {
        names[0]: random.normal(size=(4, 2, 3, 3)), "bias": random.normal(size=4),
        names[1]: random.normal(size=(4, 2, 3, 3)), "out": random.normal(size=(4, 3)),
    }  # fmt: skip
    second = names[0] if tied else names[1]
    nodes = [
        helper.make_node("Conv", ["images", names[0], "bias"], ["x"], pads=[1] * 4),
        helper.make_node("Relu", ["x"], ["y"]),
        helper.make_node("Conv", ["y", second], ["z"], group=2, pads=[1, 0, 1, 2])
        if not tied
        else helper.make_node("Conv", ["images", second], ["z"]),
        helper.make_node("GlobalAveragePool", ["z"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("MatMul", ["f", "out"], ["logits"]),
    ]
    held = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in tensors.items()]
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 2, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 3])],
        held,
    )  # fmt: skip
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 13)])


def answers(model):
    return runtime.logits(runtime.session(model.SerializeToString()), IMAGES.numpy())


def test_its_layers_are_the_files_with_filters_first():
    network = GraphNetwork(file())
    layers = {name: module for name, module in network.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)}
    assert list(layers) == [*NAMES, "out"]
    assert [tuple(layer.weight.shape) for layer in layers.values()] == [(4, 2, 3, 3), (4, 2, 3, 3), (3, 4)]
    assert [layer.groups for layer in list(layers.values())[:2]] == [1, 2]
    assert np.array_equal(network(IMAGES).numpy(), answers(file()))


def test_a_changed_weight_is_in_the_answers_and_in_the_file_and_the_original_stays():
    network = GraphNetwork(file())
    copied = copy.deepcopy(network)
    with torch.no_grad():
        network.get_submodule("out").weight[0].zero_()
    assert network(IMAGES)[:, 0].abs().max() == 0
    assert np.array_equal(answers(network.graph()), network(IMAGES).numpy())
    for other in (copied, network.original()):
        assert np.array_equal(other(IMAGES).numpy(), answers(file()))


def test_hooks_hear_what_the_graph_gives_each_layer():
    network, heard = GraphNetwork(file()), {}
    for name in NAMES:
        network.get_submodule(name).register_forward_hook(
            lambda _, taken, given, name=name: heard.update({name: (taken[0], given)})
        )
    network(IMAGES)
    assert torch.equal(heard["forward"][0], IMAGES)
    first = network.get_submodule("forward")
    expected = nn.functional.conv2d(IMAGES, first.weight, first.bias, padding=1)
    torch.testing.assert_close(heard["forward"][1], expected)
    assert tuple(heard[NAMES[1]][1].shape) == (6, 4, 8, 8)  # its padding is not the same on all sides


def test_layers_of_one_weight_are_one():
    network = GraphNetwork(file(tied=True))
    assert [name for name, module in network.named_modules() if isinstance(module, nn.Conv2d)] == ["forward"]


@pytest.mark.parametrize("emptied", [False, True])
def test_its_state_is_the_files_own(emptied):
    network = GraphNetwork(file())
    state = network.state_dict()
    assert set(state) == {*NAMES, "bias", "out"}
    assert tuple(state["out"].shape) == (4, 3)
    if emptied:
        assert not any(tensor.raw_data for tensor in network.emptied().graph.initializer)
        assert (
            onnx.ModelProto.FromString(network.emptied().SerializeToString()).graph.node == network.graph().graph.node
        )
