from __future__ import annotations

import numpy as np
import onnx
import pytest

from kdcore.compress.int8 import saturates
from kdcore.compress.step import CompressError
from kdcore.export import runtime
from kdcore.export.graph import weighted
from kdcore.export.layers import layers


@pytest.mark.parametrize(("architecture", "options"), [("cnn", {"width": 16}), ("mlp", {}), ("resnet", {"depth": 8})])
def test_the_file_says_nearly_what_its_parent_says(trained, material, carry_out, digits, architecture, options):
    given = material(trained(architecture, **options), exported=True)
    outcome = carry_out(given, "int8_dynamic")
    images = runtime.pixels(digits.test_images)
    before, after = (runtime.logits(path, images) for path in (given.onnx, outcome.onnx))
    assert (before.argmax(1) == after.argmax(1)).mean() > 0.97
    assert not np.array_equal(before, after)
    assert outcome.onnx.stat().st_size < 0.45 * given.onnx.stat().st_size


def test_layers_are_told_as_the_numbers_that_they_stand_for(trained, material, carry_out):
    given = material(trained(width=16), exported=True)
    outcome = carry_out(given, "int8_dynamic")
    before = {layer.name: layer.weight for layer in weighted(onnx.load(given.onnx))}
    after = weighted(onnx.load(outcome.onnx))
    assert [layer.name for layer in after] == list(before)
    for layer in after:
        assert layer.bits == 8
        largest = np.abs(before[layer.name]).max()
        most = 64 if saturates() else 127
        assert np.abs(layer.weight - before[layer.name]).max() <= 1.01 * largest / most / 2
    assert [row["bits"] for row in outcome.report] == [8] * 4
    macs = [layer["macs"] for layer in layers(outcome.onnx, (1, 8, 8))]
    assert macs == [layer["macs"] for layer in layers(given.onnx, (1, 8, 8))]


def test_linear_layers_alone(trained, material, carry_out):
    outcome = carry_out(material(trained(width=16), exported=True), "int8_dynamic", layers="linear")
    assert [row["bits"] for row in outcome.report] == [32, 32, 32, 8]


def test_a_damaged_parent_is_refused(trained, material, carry_out):
    given = material(trained(width=16))
    given.onnx.write_bytes(b"garbage" * 20)
    with pytest.raises(CompressError, match=r"cannot quantize parent\.onnx"):
        carry_out(given, "int8_dynamic")
