"""What files of other people take and give: converted where that is safe, else refused with the true reason."""

from __future__ import annotations

import math

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from kdcore.export import runtime
from kdcore.export.adoption import adopt
from kdcore.export.external_onnx import ForeignModel
from tests.export.test_external_onnx import CLASSES, IMAGES, PLAIN, linear, model, saved


def ending(kind, given="z", **attributes):
    """The classifier with another node behind it."""
    nodes = [helper.make_node("Flatten", ["x"], ["f"]), helper.make_node("MatMul", ["f", "w"], ["z"])]
    return model(nodes=[*nodes, helper.make_node(kind, [given] if given else [], ["y"], **attributes)])


def of_kind(kind, *, input_too=False):
    """Gives, and takes where `input_too`, numbers of another kind."""
    nodes = [helper.make_node("Cast", ["x"], ["r"], to=TensorProto.FLOAT)] if input_too else []
    nodes += [helper.make_node("Flatten", ["r" if input_too else "x"], ["f"])]
    nodes += [helper.make_node("MatMul", ["f", "w"], ["z"]), helper.make_node("Cast", ["z"], ["y"], to=kind)]
    made = model(nodes=nodes)
    made.graph.output[0].type.tensor_type.elem_type = kind
    if input_too:
        made.graph.input[0].type.tensor_type.elem_type = kind
    return made


def with_input(*sides):
    made = model()
    for dim, side in zip(made.graph.input[0].type.tensor_type.shape.dim[1:], sides, strict=True):
        dim.dim_value = side
    weight = np.random.default_rng(4).normal(size=(math.prod(sides), CLASSES)).astype(np.float32)
    made.graph.initializer[0].CopyFrom(numpy_helper.from_array(weight, "w"))
    return made


def training(kind):
    if kind == "Dropout":
        held = {"ratio": np.array(0.5, np.float32), "on": np.array(True)}
        node = helper.make_node("Dropout", ["x", "ratio", "on"], ["d"])
    else:
        held = {name: np.ones(1, np.float32) for name in "sbmv"}
        node = helper.make_node("BatchNormalization", ["x", *"sbmv"], ["d", "m2", "v2"], training_mode=1)
    nodes = [node, helper.make_node("Flatten", ["d"], ["f"]), helper.make_node("MatMul", ["f", "w"], ["y"])]
    return model(nodes=nodes, initializers=[numpy_helper.from_array(value, name) for name, value in held.items()])


def dynamic():
    nodes = [
        helper.make_node("Flatten", ["x"], ["f"]),
        helper.make_node("DynamicQuantizeLinear", ["f"], ["q", "qs", "qz"]),
        helper.make_node("DequantizeLinear", ["q", "qs", "qz"], ["r"]),
        helper.make_node("MatMul", ["r", "w"], ["y"]),
    ]
    return model(nodes=nodes)


@pytest.mark.parametrize(
    ("made", "changes", "words", "remedy"),
    [
        (dynamic(), {}, "quantized dynamically", {}),
        (training("Dropout"), {}, "dropout is active", {}),
        (training("BatchNormalization"), {}, r"batch statistics.*model\.eval\(\)", {}),
        (ending("RandomNormalLike"), {}, "draws random numbers", {}),
        (ending("Sigmoid"), {}, "set outputs to sigmoid", {"outputs": "sigmoid"}),
        (ending("Sigmoid"), {"outputs": "probabilities"}, "set outputs to sigmoid", {"outputs": "sigmoid"}),
        (model(), {"outputs": "sigmoid"}, "set outputs to logits", {"outputs": "logits"}),
        (with_input(3, 4, 4), {}, "expects 3 channels, but these images have 1", {"channels": "repeated"}),
        (with_input(1, 8, 8), {}, r"expects 8 x 8 pixels", {}),
        (with_input(8, 8, 1), {}, r"expects 8 x 8 pixels", {}),
        (of_kind(TensorProto.INT64), {}, "gives classes instead of scores", {}),
        (of_kind(TensorProto.UINT8, input_too=True), {}, r"its input is uint8 \(\? x 1 x 4 x 4\)", {}),
    ],
)
def test_the_true_reason_is_told_and_the_option_that_would_do(tmp_path, made, changes, words, remedy):
    with pytest.raises(ForeignModel, match=words) as caught:
        adopt(saved(tmp_path, made), PLAIN._replace(**changes), None)
    assert caught.value.changes == remedy


@pytest.mark.parametrize(
    "made", [of_kind(TensorProto.DOUBLE), of_kind(TensorProto.FLOAT16), of_kind(TensorProto.FLOAT16, input_too=True),
             of_kind(TensorProto.DOUBLE, input_too=True), model(-1)],
    ids=["double out", "half out", "half", "double", "batch -1"],
)  # fmt: skip
def test_other_kinds_of_numbers_and_a_batch_of_minus_one_are_taken(tmp_path, made):
    target = tmp_path / "ours.onnx"
    judged = adopt(saved(tmp_path, made), PLAIN, target)
    assert judged.batch is None
    np.testing.assert_allclose(runtime.logits(target, IMAGES), linear(IMAGES), rtol=0.02, atol=0.02)


def test_channels_that_come_last_are_taken(tmp_path):
    colour = np.random.default_rng(3).random((7, 3, 4, 4), dtype=np.float32)
    made = with_input(4, 4, 3)
    weight = numpy_helper.to_array(made.graph.initializer[0])
    adopt(saved(tmp_path, made), PLAIN._replace(shape=(3, 4, 4)), tmp_path / "ours.onnx")
    expected = colour.transpose(0, 2, 3, 1).reshape(7, -1) @ weight
    np.testing.assert_allclose(runtime.logits(tmp_path / "ours.onnx", colour), expected, rtol=1e-4, atol=1e-4)


def test_sigmoids_become_the_logits_that_they_were(tmp_path):
    """Taken as logits they would have the same order, and soft targets that are off by half."""
    adopt(saved(tmp_path, ending("Sigmoid")), PLAIN._replace(outputs="sigmoid"), tmp_path / "ours.onnx")
    logits = runtime.logits(tmp_path / "ours.onnx", IMAGES)
    np.testing.assert_allclose(logits, linear(IMAGES), rtol=1e-3, atol=1e-3)


def test_classes_are_put_into_the_data_sets_order(tmp_path):
    """The names in the file settle it, unless the order is given; capitals and lines make no difference."""
    made = model()
    made.metadata_props.add(key="names", value="{0: 'Sea_lake', 1: 'forest', 2: 'River'}")
    named = PLAIN._replace(names=("forest", "river", "sea lake"))
    assert adopt(saved(tmp_path, made), named, tmp_path / "ours.onnx").order == [2, 0, 1]
    np.testing.assert_allclose(runtime.logits(tmp_path / "ours.onnx", IMAGES), linear(IMAGES)[:, [1, 2, 0]], rtol=1e-4)
    assert adopt(saved(tmp_path, made), named._replace(order=(0, 1, 2)), None).order == []
    assert adopt(saved(tmp_path, made), named._replace(names=("a", "b", "c")), None).order == []


@pytest.mark.parametrize("value", ["", "{0: 'a'}", "[" * 5000, "__import__('os').system('true')", "{'x': [1]}"])
def test_names_that_make_no_sense_are_passed_over(tmp_path, value):
    made = model()
    made.metadata_props.add(key="names", value=value)
    assert adopt(saved(tmp_path, made), PLAIN._replace(names=("a", "b", "c")), None).order == []
