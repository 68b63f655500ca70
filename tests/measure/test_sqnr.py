"""Noise of each layer's output: on graphs made by hand whose noise is known, and on files as the steps write them."""

from __future__ import annotations

import copy

import numpy as np
import onnx
import pytest
import torch
from onnx import helper

from kdcore import registry
from kdcore.compress.step import StepInput
from kdcore.export import runtime
from kdcore.export.graph import weighted
from kdcore.export.onnx_file import export
from kdcore.measure.sqnr import sqnr
from kdcore.paths import home
from tests.export.test_layers import saved

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.random((20, 6), dtype=np.float32)
FIRST = RANDOM.standard_normal((5, 6)).astype(np.float32)
HEAD = RANDOM.standard_normal((10, 5)).astype(np.float32)


def two_layers(path, first, head, *, bias=None, names=("first", "head")):
    """images -> Gemm -> Relu -> Gemm -> logits, weights with filters first."""
    nodes = [
        helper.make_node("Gemm", ["images", f"{names[0]}.weight", "bias"], ["a"], transB=1),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Gemm", ["b", f"{names[1]}.weight"], ["logits"], transB=1),
    ]
    bias = np.zeros(len(first), np.float32) if bias is None else bias
    constants = {f"{names[0]}.weight": first, f"{names[1]}.weight": head, "bias": bias}
    return saved(path, nodes, constants, (6,), (10,))


def decibels(was, now):
    """The definition, written out."""
    was, now = was.astype(float), now.astype(float)
    return 10 * np.log10((was**2).sum() / ((was - now) ** 2).sum())


def told(noise):
    return [level.db for level in noise.layers]


def test_noise_is_that_of_the_outputs_before_the_activation(tmp_path):
    parent = two_layers(tmp_path / "parent.onnx", FIRST, HEAD)
    rough, head = FIRST + 0.05 * RANDOM.standard_normal(FIRST.shape).astype(np.float32), np.round(HEAD, 1)
    made = two_layers(tmp_path / "made.onnx", rough, head)
    noise = sqnr(made, parent, IMAGES)
    was, now = IMAGES @ FIRST.T, IMAGES @ rough.T
    ends = np.maximum(was, 0) @ HEAD.T, np.maximum(now, 0) @ head.T
    assert told(noise) == pytest.approx([decibels(was, now), decibels(*ends)], abs=1e-3)
    assert noise.logits.db == pytest.approx(decibels(*ends), abs=1e-3)
    assert [level.note for level in noise.layers] == ["", ""]


def test_a_tenth_off_is_twenty_decibels(tmp_path):
    parent = two_layers(tmp_path / "parent.onnx", FIRST, HEAD)
    made = two_layers(tmp_path / "made.onnx", 0.9 * FIRST, HEAD)
    assert told(sqnr(made, parent, IMAGES)) == pytest.approx([20, 20], abs=1e-4)


def test_rounding_noise_is_what_theory_says(tmp_path):
    """A grid of step s rounds with noise s²/12: on a long product the outputs' noise has that ratio too."""
    weight = RANDOM.uniform(-1, 1, (200, 3000)).astype(np.float32)
    images = RANDOM.standard_normal((16, 3000)).astype(np.float32)

    def one(path, values):
        node = helper.make_node("MatMul", ["images", "head.weight"], ["logits"])
        return saved(tmp_path / path, [node], {"head.weight": values.T.copy()}, (3000,), (200,))

    step = 2 / 2**4
    noise = sqnr(one("made.onnx", np.round(weight / step) * step), one("parent.onnx", weight), images)
    assert noise.logits.db == pytest.approx(10 * np.log10((1 / 3) / (step**2 / 12)), abs=0.3)


def test_no_number_without_noise_without_signal_or_of_other_shapes(tmp_path):
    parent = two_layers(tmp_path / "parent.onnx", FIRST, HEAD)
    same = sqnr(parent, parent, IMAGES)
    assert [level.note for level in (same.logits, *same.layers)] == ["the outputs are equal"] * 3
    narrow = sqnr(two_layers(tmp_path / "narrow.onnx", FIRST[:3], HEAD[:, :3]), parent, IMAGES)
    assert narrow.layers[0].db is None
    assert narrow.layers[0].note == "its output is 3, in the parent file 5"
    assert narrow.layers[1].db is not None
    silent = two_layers(tmp_path / "silent.onnx", 0 * FIRST, HEAD)
    assert "zero everywhere" in sqnr(parent, silent, IMAGES).layers[0].note
    other = two_layers(tmp_path / "other.onnx", FIRST, HEAD, names=("renamed", "head"))
    assert "no layer of this name" in sqnr(other, parent, IMAGES).layers[0].note
    wild = two_layers(tmp_path / "wild.onnx", FIRST, np.full_like(HEAD, np.inf))
    assert "not finite" in sqnr(wild, parent, IMAGES).logits.note


def test_the_last_part_of_a_split_layer_stands_for_the_whole(tmp_path):
    parent = two_layers(tmp_path / "parent.onnx", FIRST, HEAD)
    left, values, right = np.linalg.svd(FIRST, full_matrices=False)
    nodes = [
        helper.make_node("Gemm", ["images", "first.basis.weight"], ["a"], transB=1),
        helper.make_node("Gemm", ["a", "first.mix.weight"], ["b"], transB=1),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node("Gemm", ["c", "head.weight"], ["logits"], transB=1),
    ]
    parts = {"first.basis.weight": right[:3], "first.mix.weight": left[:, :3] * values[:3], "head.weight": HEAD}
    noise = sqnr(saved(tmp_path / "made.onnx", nodes, parts, (6,)), parent, IMAGES)
    now = IMAGES @ right[:3].T @ (left[:, :3] * values[:3]).T
    assert noise.layers[0].db is None
    assert noise.layers[0].note == "part of first; see the output of first.mix"
    assert noise.layers[1].db == pytest.approx(decibels(IMAGES @ FIRST.T, now), abs=1e-3)


def test_layers_that_share_a_name_are_told_by_their_places(tmp_path):
    square = RANDOM.standard_normal((6, 6)).astype(np.float32)

    def three(path, second):
        nodes = [
            helper.make_node("Gemm", ["images", "one.weight"], ["a"], transB=1),
            helper.make_node("Gemm", ["a", second], ["b"], transB=1),
            helper.make_node("Gemm", ["b", "head.weight"], ["logits"], transB=1),
        ]
        constants = {"one.weight": square, "two.weight": 0.9 * square, "head.weight": np.ones((10, 6), np.float32)}
        return saved(
            tmp_path / path, nodes, {name: constants[name] for name in {"one.weight", second, "head.weight"}}, (6,)
        )

    noise = sqnr(three("tied.onnx", "one.weight"), three("parent.onnx", "two.weight"), IMAGES)
    assert noise.layers[0].note == "the outputs are equal"
    assert noise.layers[1].db == pytest.approx(20 * np.log10(9), abs=1e-3)


@pytest.fixture(scope="module")
def material(digits, shares, trained, tmp_path_factory):
    """A CNN and its file, as steps take them; and images to compare on."""
    folder = tmp_path_factory.mktemp("steps")
    images = runtime.pixels(digits.train_images)
    targets = torch.eye(10)[torch.from_numpy(np.array(digits.train_labels))]
    export(trained, digits.shape, folder / "parent.onnx", images=images[:16], cache=home() / "cache" / "onnx")
    network = copy.deepcopy(trained)
    given = StepInput(network, folder / "parent.onnx", torch.from_numpy(images), digits.shape, folder, 0, targets)
    return given, images[shares.validation[:24]]


def carried_out(material, step):
    chosen = registry.validate("step", {"step": step})
    return registry.entry_of("step", chosen).implementation(material, chosen).onnx


@pytest.mark.parametrize(("step", "low", "high"), [("int8", 15, 55), ("int8_dynamic", 15, 55), ("half", 55, 90)])
def test_quantized_files_are_compared_as_the_numbers_they_stand_for(material, step, low, high):
    """Numbers of the size that the bits lead to: about 6 dB each, less what the range wastes.

    Static int8 leaves the first layer, of one channel, as it is.
    """
    given, images = material
    made = carried_out(given, step)
    noise = sqnr(made, given.onnx, images)
    assert len(noise.layers) == len(weighted(onnx.load(made))) == 4
    first, *others = noise.layers
    assert first.note == "the outputs are equal" if step == "int8" else low < first.db < high
    assert all(low < level.db < high for level in others), told(noise)
    was, now = (runtime.logits(path, images) for path in (given.onnx, made))
    assert noise.logits.db == pytest.approx(decibels(was, now), abs=1)


def test_dynamic_int8_is_followed_to_the_real_numbers(material):
    """The first layer against the same arithmetic here: 8 bits for weights and for the range of the images' numbers."""
    given, images = material
    images = images[:8]
    made = carried_out(given, "int8_dynamic")
    whole, rounded = (weighted(onnx.load(path))[0] for path in (given.onnx, made))
    assert (rounded.node.op_type, rounded.bias) == ("ConvInteger", None)
    entered = given.network.normalize(torch.from_numpy(images))
    least = min(float(entered.min()), 0.0)
    scale = (max(float(entered.max()), 0.0) - least) / 255
    coarse = ((entered / scale).round() + round(-least / scale)).clamp(0, 255) - round(-least / scale)
    bias = torch.from_numpy(whole.bias.copy())
    was = torch.conv2d(entered, torch.from_numpy(whole.weight.copy()), bias, padding=1).numpy()
    now = torch.conv2d(coarse * scale, torch.from_numpy(rounded.weight.copy()), bias, padding=1).numpy()
    assert told(sqnr(made, given.onnx, images))[0] == pytest.approx(decibels(was, now), abs=0.1)
