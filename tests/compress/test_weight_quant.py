from __future__ import annotations

import copy
import json
import os
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from kdcore import models, registry
from kdcore.compress import weight_quant
from kdcore.compress.step import CompressError
from kdcore.export import runtime, weights
from kdcore.export.graph import weighted
from kdcore.export.layers import layers
from tests import patience

FAMILIES = [("cnn", {"width": 16}), ("resnet", {"depth": 8})]


def optimized_ops(path, tmp_path) -> set[str]:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return {node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node}


def said(network: nn.Module, images: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return network(torch.from_numpy(images)).numpy()


@pytest.mark.parametrize(("architecture", "options"), FAMILIES)
@pytest.mark.parametrize(("bits", "stored"), [(8, 8), (4, 4), (3, 4), (2, 2), (1, 2)])
def test_the_file_says_what_the_network_says_and_has_so_many_bits(
    trained, material, carry_out, digits, architecture, options, bits, stored
):
    given = material(trained(architecture, **options), exported=True)
    outcome = carry_out(given, "weight_quant", bits=bits)
    images = runtime.pixels(digits.test_images)
    np.testing.assert_allclose(
        runtime.logits(outcome.onnx, images), said(outcome.network, images), rtol=1e-3, atol=1e-3
    )
    measured = layers(outcome.onnx, (1, 8, 8))
    assert [layer["bits"] for layer in measured] == [8] + [stored] * (len(measured) - 2) + [8]
    assert [row["bits"] for row in outcome.report] == [8] + [bits] * (len(measured) - 2) + [8]
    assert [row["stored_bits"] for row in outcome.report] == [layer["bits"] for layer in measured]


@pytest.mark.parametrize(("bits", "most"), [(4, 15), (2, 3), (1, 2)])
def test_each_filter_has_few_values(trained, material, carry_out, bits, most):
    outcome = carry_out(material(trained(width=16), exported=True), "weight_quant", bits=bits, first_and_last=2)
    for layer in weighted(onnx.load(outcome.onnx))[1:-1]:
        assert max(len(np.unique(one)) for one in layer.weight) <= most
    for module in outcome.network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            assert max(len(one.unique()) for one in module.weight.detach()) <= max(most, 3)


def test_two_bits_make_a_file_an_eleventh_of_its_parents(trained, material, carry_out):
    given = material(trained("resnet", depth=8), exported=True)
    size = carry_out(given, "weight_quant", bits=2).onnx.stat().st_size
    assert size < given.onnx.stat().st_size / 11


def test_nothing_is_left_to_unpack_when_it_runs(trained, material, carry_out, tmp_path):
    given = material(trained(width=16), exported=True)
    parent = {node.op_type for node in onnx.load(given.onnx).graph.node} | optimized_ops(given.onnx, tmp_path)
    assert optimized_ops(carry_out(given, "weight_quant", bits=2).onnx, tmp_path) <= parent


def test_with_int8_activations_it_computes_in_int8_on_its_grid(trained, material, carry_out, tmp_path, digits):
    given = material(trained(width=16), exported=True)
    outcome = carry_out(given, "weight_quant", bits=2, activations="int8")
    assert "QLinearConv" in optimized_ops(outcome.onnx, tmp_path)
    middle = next(layer for layer in weighted(onnx.load(outcome.onnx)) if layer.name == "stage2.conv")
    assert max(len(np.unique(one)) for one in middle.weight) <= 3
    images = runtime.pixels(digits.test_images)
    agreement = (runtime.logits(outcome.onnx, images).argmax(1) == said(outcome.network, images).argmax(1)).mean()
    assert agreement > 0.97
    assert [row["name"] for row in outcome.report] == ["stage1.conv", "stage2.conv", "head"]  # the first stays float


@pytest.mark.parametrize("symmetric", [True, False])
def test_a_batch_norm_that_turns_signs_is_followed(trained, material, carry_out, digits, symmetric):
    network = trained(width=16)
    with torch.no_grad():
        network.stage1.norm.weight[::2] *= -1
    plain = material(network, exported=True)
    images = runtime.pixels(digits.test_images)
    for activations, stored in (("float", 2), ("int8", 8)):
        given = plain._replace(network=copy.deepcopy(network))
        outcome = carry_out(given, "weight_quant", bits=2, symmetric=symmetric, activations=activations)
        layer = next(one for one in weighted(onnx.load(outcome.onnx)) if one.name == "stage1.conv")
        assert layer.bits == stored
        assert max(len(np.unique(one)) for one in layer.weight) == (3 if symmetric else 4)
        file, whole = runtime.logits(outcome.onnx, images), said(outcome.network, images)
        assert (file.argmax(1) == whole.argmax(1)).mean() > 0.97
        if activations == "float":
            np.testing.assert_allclose(file, whole, rtol=1e-3, atol=1e-3)


def test_clipping_by_error_loses_less(trained, material, carry_out):
    errors = {}
    for clip in ("max", "mse"):
        rows = carry_out(material(trained(width=16), exported=True), "weight_quant", bits=3, clip=clip).report
        errors[clip] = [row["weight_error"] for row in rows]
    assert (np.array(errors["mse"]) <= np.array(errors["max"]) + 1e-9).all()
    assert errors["mse"][1] < 0.9 * errors["max"][1]


def test_recalibration_brings_back_what_rounding_shifted(trained, material, carry_out, accuracy):
    plain = {"bits": 2, "bias_correction": False, "first_and_last": 2}
    without, with_it = (
        accuracy(
            carry_out(
                material(trained("resnet", depth=8), exported=True), "weight_quant", recalibrate=recalibrate, **plain
            ).network
        )
        for recalibrate in (False, True)
    )
    assert with_it > without + 0.1


@pytest.mark.parametrize("recalibrate", [True, False])
def test_bias_correction_gives_each_layer_its_mean_back(trained, material, carry_out, images, recalibrate):
    network = trained(width=16)
    before = weight_quant.means(network, images[:256], ["head"])["head"]
    differences = []
    for corrected in (True, False):
        given = material(trained(width=16), exported=True, count=256)
        outcome = carry_out(given, "weight_quant", bits=2, bias_correction=corrected, recalibrate=recalibrate)
        after = weight_quant.means(outcome.network, images[:256], ["head"])["head"]
        differences.append(float((after - before).abs().max()))
    assert differences[0] < 1e-4 < differences[1]


def test_one_scale_for_a_layer_loses_more(trained, material, carry_out):
    rows = {
        per_channel: carry_out(
            material(trained(width=16), exported=True), "weight_quant", per_channel=per_channel
        ).report[1]
        for per_channel in (True, False)
    }
    assert rows[False]["weight_error"] > rows[True]["weight_error"]
    assert rows[False]["coded_bytes"] == rows[True]["coded_bytes"] - 4 * 15


@pytest.mark.parametrize(
    ("step", "options"), [("weight_quant", {"bits": 2}), ("adaround", {"iterations": 5}), ("half", {})]
)
def test_equal_material_gives_equal_bytes(trained, material, carry_out, step, options):
    first, again = (
        carry_out(material(trained(width=16), exported=True), step, **options).onnx.read_bytes() for _ in range(2)
    )
    assert first == again


@pytest.mark.slow
def test_a_transformer_is_rounded_where_its_weights_have_lost_their_names(trained, material, carry_out, digits):
    network = trained("vit", depth=3, dim=32, heads=2)
    outcome = carry_out(material(network, exported=True), "weight_quant", bits=4)
    images = runtime.pixels(digits.test_images)
    np.testing.assert_allclose(
        runtime.logits(outcome.onnx, images), said(outcome.network, images), rtol=1e-3, atol=1e-3
    )
    assert {row["bits"] for row in outcome.report} == {4, 8}


def test_a_network_without_layers_is_refused(material, carry_out):
    with pytest.raises(CompressError, match="no convolution or linear layer"):
        carry_out(material(nn.Sequential(nn.Flatten())), "weight_quant")


def test_networks_and_files_come_back_in_a_fresh_process(trained, material, carry_out, digits, tmp_path):
    options = registry.validate("architecture", {"architecture": "cnn", "width": 16})
    steps = [("weight_quant", {"bits": 2}), ("adaround", {"iterations": 5}), ("half", {"format": "bf16"}), ("qat", {})]
    images = runtime.pixels(digits.test_images)[:64]
    np.save(tmp_path / "images.npy", images)
    for step, chosen in steps:
        outcome = carry_out(material(trained(width=16), exported=True), step, **chosen)
        outcome = outcome.finish(outcome.network.eval()) if outcome.finish else outcome
        folder = tmp_path / step
        folder.mkdir()
        weights.save(folder, outcome.network, models.describe(options, 10, (1, 8, 8), digits.mean, digits.std))
        (folder / "model.onnx").write_bytes(outcome.onnx.read_bytes())
        np.save(folder / "network.npy", said(outcome.network, images))
        np.save(folder / "file.npy", runtime.logits(outcome.onnx, images))
    code = """
import json, sys, numpy as np, torch
from pathlib import Path
from kdcore.export import runtime, weights
torch.set_num_threads(1)
images = np.load("images.npy")
for name in json.loads(sys.argv[1]):
    folder = Path(name)
    with torch.no_grad():
        assert np.array_equal(weights.load(folder)(torch.from_numpy(images)).numpy(), np.load(folder / "network.npy"))
    assert np.array_equal(runtime.logits(folder / "model.onnx", images), np.load(folder / "file.npy"))
"""
    names = json.dumps([step for step, _ in steps])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run(
        [sys.executable, "-c", code, names], cwd=tmp_path, check=True, timeout=patience.SECONDS, env=environment
    )


def test_bits_by_layer(trained, material, carry_out):
    policy = {"stage1.conv": 1, "head": 5}
    given = material(trained(width=16), exported=True)
    floats = {row["name"]: row["bits"] for row in carry_out(given, "weight_quant", policy=policy).report}
    assert floats == policy
    given = material(trained(width=16), exported=True)
    whole = carry_out(given, "weight_quant", policy=policy, activations="int8").report
    assert {row["name"]: row["bits"] for row in whole} == policy | {"stage2.conv": 8}
    with pytest.raises(CompressError, match="policy names tail, which is not a layer; layers: stem"):
        carry_out(given, "weight_quant", policy={"tail": 4})
