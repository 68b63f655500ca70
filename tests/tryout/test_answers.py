"""Answers of ONNX files to one image, and when a disturbance changes them."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from kdcore.export import runtime
from kdcore.inputs.disturb import disturbances, disturbed
from kdcore.tryout.answers import Fall, answer, answers, falls, strengths, support


def brightness(threshold, slope=20.0):
    """A model of two classes: dark and bright, by the mean of the pixels."""
    constants = {"slope": [-slope, slope], "shift": [slope * threshold, -slope * threshold]}
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["images"], ["mean"], axes=[1, 2, 3], keepdims=0),
            helper.make_node("Unsqueeze", ["mean", "axes"], ["column"]),
            helper.make_node("Mul", ["column", "slope"], ["scaled"]),
            helper.make_node("Add", ["scaled", "shift"], ["logits"]),
        ],
        "brightness",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 1, 4, 4])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2])],
        [helper.make_tensor("axes", TensorProto.INT64, [1], [1])]
        + [helper.make_tensor(name, TensorProto.FLOAT, [2], values) for name, values in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return runtime.session(model.SerializeToString())


def test_one_label_is_the_likeliest_class():
    found = answer(np.array([0.0, np.log(3)], np.float32), several=False)
    assert found.picked == (1,)
    assert found.confidence == pytest.approx(0.75)
    assert found.probabilities.sum() == pytest.approx(1)


def test_several_labels_are_all_that_are_likelier_than_not():
    found = answer(np.array([-3.0, np.log(3), 9.0], np.float32), several=True)
    assert found.picked == (1, 2)
    assert found.confidence == pytest.approx(0.75)
    assert support(found, (1, 2), several=True) == pytest.approx(0.75)
    assert answer(np.array([-1.0, -1.0], np.float32), several=True).confidence is None


def test_what_is_no_number_is_no_answer():
    with pytest.raises(ValueError, match="finite"):
        answer(np.array([np.nan, 0.0], np.float32), several=False)


def test_a_file_answers_every_image():
    images = np.stack([np.full((4, 4, 1), value, np.uint8) for value in (0, 255)])
    assert [one.picked for one in answers(brightness(0.5), images, False)] == [(0,), (1,)]


def test_the_first_to_break_is_found():
    """Blur keeps the mean; noise on black makes the image brighter, so the model with the lower threshold gives way."""
    image = np.zeros((4, 4, 1), np.uint8)
    about = disturbances(4, 4)
    models = {"weak": brightness(0.02), "strong": brightness(0.9)}
    found = falls(models, image[None], (0,), "noise", about["noise"], False)
    assert found["weak"].breaks is not None
    assert 0 < found["weak"].breaks < about["noise"].most
    assert found["strong"].breaks is None
    assert len(found["weak"].supports) == len(strengths(about["noise"]))
    assert found["weak"].supports[0] > 0.5 > found["weak"].supports[-1]
    assert falls(models, image[None], (0,), "blur", about["blur"], False)["weak"].breaks is None


def test_a_model_that_disagrees_from_the_start_breaks_at_zero():
    found = falls(
        {"bright": brightness(-1.0)}, np.zeros((1, 4, 4, 1), np.uint8), (0,), "blur", disturbances(4, 4)["blur"], False
    )
    assert isinstance(found["bright"], Fall)
    assert found["bright"].breaks == 0


@pytest.mark.parametrize("name", disturbances(8, 8))
def test_a_disturbance_at_zero_changes_nothing_and_at_its_most_much(name):
    image = np.zeros((8, 8, 1), np.uint8)
    image[1:7, 3] = 255
    about = disturbances(8, 8)[name]
    assert (disturbed(image, {name: 0.0}) == image).all()
    changed = disturbed(image, {name: about.most})
    assert changed.shape == image.shape
    assert changed.dtype == np.uint8
    assert np.abs(changed.astype(int) - image).mean() > 10


def test_a_quarter_turn_lays_a_bar_down():
    image = np.zeros((8, 8, 3), np.uint8)
    image[:, 2] = 255
    turned = disturbed(image, {"rotation": 90.0})
    assert (turned[..., 0].sum(axis=1) > 0).sum() == 1
