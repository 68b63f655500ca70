"""Multiply-accumulates of files that other people exported: the true number, or none."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
import torchvision
from onnx import TensorProto, helper
from torch import nn

from kdcore.export.adoption import adopt
from kdcore.export.external_onnx import Wanted
from kdcore.export.layers import layers
from kdcore.export.onnx_macs import macs
from kdcore.models import cost
from tests.owners import export


def test_a_free_batch_axis_hides_no_layer(tmp_path):
    """The channel shuffle of the older exporter works its shapes out, which made 50 of 57 layers cost nothing."""
    torch.set_num_threads(1)
    network = torchvision.models.shufflenet_v2_x0_5(num_classes=10).eval()
    path = export(network, tmp_path / "a.onnx", (3, 32, 32))
    judged = adopt(path, Wanted((3, 32, 32), 10, [0] * 3, [1] * 3, "0..1", "logits"), tmp_path / "ours.onnx")
    found = layers(tmp_path / "ours.onnx", (3, 32, 32))
    assert judged.macs == sum(layer["macs"] for layer in found) == cost.macs(network, (3, 32, 32))
    assert len(found) == 57
    assert min(layer["macs"] for layer in found) > 0


def test_a_fixed_batch_counts_an_image(tmp_path):
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ConvTranspose2d(2, 1, 2), nn.Flatten(), nn.Linear(49, 3)).eval()
    path = export(network, tmp_path / "a.onnx", (1, 8, 8), dynamic_axes={})
    assert macs(onnx.load(path), np.zeros((1, 1, 8, 8), np.float32)) == 36 * 2 * 9 + 36 * 2 * 4 + 49 * 3


def test_products_of_activations_count(tmp_path):
    class Attends(nn.Module):
        def forward(self, pixels):
            rows = pixels[:, 0]
            return ((rows @ rows.transpose(1, 2)).softmax(2) @ rows).mean(1)

    path = export(Attends(), tmp_path / "a.onnx", (1, 4, 8))
    image = np.zeros((1, 1, 4, 8), np.float32)
    assert macs(onnx.load(path), image) == 2 * 4 * 4 * 8


@pytest.mark.parametrize("kind", ["Einsum", "unknown"])
def test_what_cannot_be_counted_has_no_number(kind):
    node = helper.make_node("Einsum", ["x", "x"], ["y"], equation="bchw,bchw->bc")
    if kind == "unknown":
        node = helper.make_node("Flatten", ["x"], ["y"])
    images = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, 4, 4])
    said = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    model = helper.make_model(helper.make_graph([node], "g", [images], [said]), ir_version=8,
                              opset_imports=[helper.make_opsetid("", 17)])  # fmt: skip
    assert macs(model, np.zeros((1, 1, 4, 4), np.float32)) is None
