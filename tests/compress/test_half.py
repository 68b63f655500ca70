from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch

from kdcore.compress.step import CompressError
from kdcore.export import runtime
from kdcore.export.graph import weighted
from kdcore.export.layers import layers
from tests.compress.test_weight_quant import optimized_ops


@pytest.mark.parametrize(("kind", "bits"), [("fp16", 10), ("bf16", 7)])
@pytest.mark.parametrize(("architecture", "options"), [("cnn", {"width": 16}), ("resnet", {"depth": 8})])
def test_weights_are_the_nearest_16_bit_numbers(trained, material, carry_out, kind, bits, architecture, options):
    given = material(trained(architecture, **options), exported=True)
    outcome = carry_out(given, "half", format=kind)
    before = {layer.name: layer.weight for layer in weighted(onnx.load(given.onnx))}
    dtype = {"fp16": torch.float16, "bf16": torch.bfloat16}[kind]
    for layer in weighted(onnx.load(outcome.onnx)):
        assert layer.bits == 16
        expected = torch.from_numpy(before[layer.name].copy()).to(dtype).float().numpy()
        np.testing.assert_array_equal(layer.weight, expected)
    assert all(0 < row["weight_error"] < 2.0**-bits for row in outcome.report)
    assert outcome.onnx.stat().st_size < 0.56 * given.onnx.stat().st_size


def test_the_file_says_nearly_what_its_parent_says(trained, material, carry_out, digits):
    given = material(trained(width=16), exported=True)
    images = runtime.pixels(digits.test_images)
    before, after = (runtime.logits(path, images) for path in (given.onnx, carry_out(given, "half").onnx))
    assert np.abs(before - after).max() < 0.01 * np.abs(before).max()
    assert not np.array_equal(before, after)


def test_nothing_is_left_to_unpack_when_it_runs(trained, material, carry_out, tmp_path):
    given = material(trained(width=16), exported=True)
    assert optimized_ops(carry_out(given, "half").onnx, tmp_path) == optimized_ops(given.onnx, tmp_path)


def test_layers_are_told_as_those_of_the_parent(trained, material, carry_out):
    given = material(trained(width=16), exported=True)
    made = layers(carry_out(given, "half").onnx, (1, 8, 8))
    for layer, before in zip(made, layers(given.onnx, (1, 8, 8)), strict=True):
        assert [layer[name] for name in ("name", "shape", "params", "macs")] == [
            before[name] for name in ("name", "shape", "params", "macs")
        ]


def test_weights_beyond_fp16_are_refused_and_bf16_takes_them(trained, material, carry_out):
    network = trained(width=16)
    with torch.no_grad():
        network.head.weight[0, 0] = 1e5
    given = material(network, exported=True)
    with pytest.raises(CompressError, match="head are beyond the range of fp16"):
        carry_out(given, "half")
    carry_out(given, "half", format="bf16")


def test_a_damaged_parent_is_refused(trained, material, carry_out):
    given = material(trained(width=16))
    given.onnx.write_bytes(b"garbage" * 20)
    with pytest.raises(CompressError):
        carry_out(given, "half")
