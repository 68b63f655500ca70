from __future__ import annotations

import numpy as np
import onnx
import pytest

from kdcore.compress.tools.files import restore_names
from kdcore.export.graph import weighted


def renamed(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph, as a library would write it that calls its constants by numbers."""
    names = {tensor.name: f"t{place}" for place, tensor in enumerate(reversed(model.graph.initializer))}
    for tensor in model.graph.initializer:
        tensor.name = names[tensor.name]
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
    return model


@pytest.mark.parametrize("step", ["int8", "int8_dynamic"])
@pytest.mark.parametrize("options", [{"architecture": "resnet", "depth": 8}, {"architecture": "vit", "depth": 2}])
def test_layers_are_known_whatever_a_library_calls_their_weights(trained, material, carry_out, step, options):
    given = material(trained(**options), exported=True)
    made = onnx.load(carry_out(given, step).onnx)
    before, after = weighted(made), renamed(made)
    for was, now in zip(before, weighted(after), strict=True):
        np.testing.assert_array_equal(now.weight, was.weight)
        assert now.name != was.name
    restore_names(after, onnx.load(given.onnx))
    assert [layer.name for layer in weighted(after)] == [layer.name for layer in before]
    assert {layer.name for layer in before} == {layer.name for layer in weighted(onnx.load(given.onnx))}
    assert [layer.bits for layer in weighted(after)] == [layer.bits for layer in before]


def test_filters_may_have_been_scaled_and_turned(trained, material):
    """As an optimizer does that folds a batch norm."""
    given = material(trained("resnet", depth=8), exported=True)
    model = onnx.load(given.onnx)
    names = [layer.stored for layer in weighted(model)]
    scales = np.random.default_rng(0).standard_normal(200).astype(np.float32)
    for tensor in model.graph.initializer:
        if tensor.name in names and len(tensor.dims) == 4:
            weight = onnx.numpy_helper.to_array(tensor) * scales[: tensor.dims[0], None, None, None]
            tensor.CopyFrom(onnx.numpy_helper.from_array(weight, tensor.name))
    restore_names(renamed(model), onnx.load(given.onnx))
    assert [layer.stored for layer in weighted(model)] == names
