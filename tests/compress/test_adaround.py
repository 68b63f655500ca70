from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from kdcore.compress import adaround
from kdcore.compress.tools import quant_grid
from kdcore.compress.tools.rounding import Layer
from kdcore.export import runtime


def layer_of(module: nn.Module, bits: int) -> Layer:
    return Layer(module, bits, quant_grid.scales(module.weight, bits, clip="mse"))


@pytest.mark.parametrize("kind", ["conv", "linear", "depthwise"])
def test_the_outputs_error_is_less_than_of_the_nearest_levels(kind):
    torch.manual_seed(0)
    module = {
        "conv": lambda: nn.Conv2d(4, 6, 3),
        "linear": lambda: nn.Linear(64, 6),
        "depthwise": lambda: nn.Conv2d(6, 6, 3, groups=6),
    }[kind]()
    shape = {"conv": (128, 4, 6, 6), "linear": (256, 64), "depthwise": (128, 6, 6, 6)}[kind]
    given = torch.rand(shape)  # never negative, so errors of one sign add up
    layer = layer_of(module, 3)
    weight = module.weight.detach()
    learnt = adaround.learn(layer, given, given, 300, torch.Generator().manual_seed(0))
    nearest = quant_grid.codes(weight, layer.scale, 3)
    wanted = adaround.apply(module, weight, given)
    errors = [
        float((adaround.apply(module, codes * layer.scale, given) - wanted).square().mean())
        for codes in (learnt, nearest)
    ]
    assert errors[0] < 0.7 * errors[1]
    assert not torch.equal(learnt, nearest)


def test_each_code_is_the_one_below_or_above():
    torch.manual_seed(0)
    module = nn.Linear(8, 4)
    layer = layer_of(module, 3)
    learnt = adaround.learn(layer, torch.rand(64, 8), torch.rand(64, 8), 50, torch.Generator().manual_seed(0))
    exact = (module.weight / layer.scale).detach()
    up = learnt - exact.floor().clamp(-3, 3)
    assert set(up.unique().tolist()) <= {0.0, 1.0}
    assert learnt.abs().max() <= 3


def test_it_makes_up_for_what_the_layers_before_changed():
    """Given other inputs than the plain layer, the codes aim at the plain layer's outputs."""
    torch.manual_seed(0)
    module = nn.Linear(16, 4)
    layer = layer_of(module, 4)
    plain = torch.rand(256, 16)
    shrunk = 0.9 * plain
    wanted = adaround.apply(module, module.weight.detach(), plain)
    learnt = adaround.learn(layer, plain, shrunk, 300, torch.Generator().manual_seed(0))
    same = adaround.learn(layer, plain, plain, 300, torch.Generator().manual_seed(0))
    made = [adaround.apply(module, codes * layer.scale, shrunk) for codes in (learnt, same)]
    errors = [float((one - wanted).square().mean()) for one in made]
    assert errors[0] < errors[1]


def test_the_rectified_sigmoid_reaches_both_ends():
    assert adaround.opening(torch.tensor([-10.0, 0.0, 10.0])).tolist() == pytest.approx([0, 0.5, 1])


@pytest.mark.parametrize(
    ("architecture", "options"), [("cnn", {"width": 16}), pytest.param("resnet", {"depth": 8}, marks=pytest.mark.slow)]
)
def test_at_two_bits_it_keeps_more_than_rounding_to_nearest(
    trained, material, carry_out, digits, accuracy, architecture, options
):
    images = runtime.pixels(digits.test_images)
    given = material(trained(architecture, **options), exported=True)
    with torch.no_grad():
        before = given.network(torch.from_numpy(images)).numpy()
    plain = {"bits": 2, "recalibrate": False}
    learnt = carry_out(given, "adaround", iterations=120, images=128, **plain)
    logits = [runtime.logits(learnt.onnx, images)]
    given = material(trained(architecture, **options), exported=True)
    logits.append(runtime.logits(carry_out(given, "weight_quant", bias_correction=False, **plain).onnx, images))
    errors = [np.square(one - before).mean() for one in logits]
    assert errors[0] < 0.7 * errors[1]
    assert learnt.report[1]["bits"] == 2
