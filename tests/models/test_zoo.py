from __future__ import annotations

import json

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from kdcore import models, registry
from kdcore.registry import validate

torch.set_num_threads(1)


def create(classes: int, shape: tuple[int, int, int], **architecture) -> nn.Module:
    channels = shape[0]
    return models.create(validate("architecture", architecture), classes, shape, [0.0] * channels, [1.0] * channels)


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("depth", "width", "published"),
    [(20, 1, 278_324), (56, 1, 861_620), (110, 1, 1_736_564), (8, 4, 1_233_540), (32, 4, 7_433_860)],
)
def test_resnets_have_the_published_numbers_of_parameters(depth, width, published):
    # RepDistiller and mdistiller, CIFAR-100
    assert parameters(create(100, (3, 32, 32), architecture="resnet", depth=depth, width=width)) == published


def test_resnet8_counted_by_hand():
    network = create(10, (1, 8, 8), architecture="resnet", depth=8)
    stem = 9 * 16 + 2 * 16
    stage1 = 2 * (9 * 16 * 16 + 2 * 16)
    stage2 = 9 * 16 * 32 + 9 * 32 * 32 + 16 * 32 + 3 * 2 * 32
    stage3 = 9 * 32 * 64 + 9 * 64 * 64 + 32 * 64 + 3 * 2 * 64
    assert parameters(network) == stem + stage1 + stage2 + stage3 + 64 * 10 + 10
    assert sum(isinstance(module, nn.Conv2d | nn.Linear) for module in network.modules()) == 8 + 2  # and 2 shortcuts


def test_every_depth_has_as_many_layers_as_it_says():
    for depth in range(8, 111, 6):
        with torch.device("meta"):
            network = create(10, (3, 32, 32), architecture="resnet", depth=depth)
        layers = [path for path, module in network.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)]
        assert len([path for path in layers if "shortcut" not in path]) == depth


def test_cnn_and_mlp_counted_by_hand():
    cnn = create(10, (1, 8, 8), architecture="cnn", width=32)
    assert parameters(cnn) == 9 * 32 + 64 + 9 * 32 * 32 + 64 + 9 * 32 * 64 + 128 + 64 * 10 + 10
    mlp = create(3, (2, 8, 9), architecture="mlp", widths=[7, 5])
    assert parameters(mlp) == 144 * 7 + 7 + 7 * 5 + 5 + 5 * 3 + 3


@pytest.mark.parametrize(
    "architecture", [entry.name for entry in registry.entries("architecture") if entry.traits.reads == "pictures"]
)
@pytest.mark.parametrize("shape", [(1, 8, 8), (2, 9, 15), (4, 32, 31)])
@pytest.mark.parametrize("training", [True, False])
def test_any_size_and_any_number_of_channels(architecture, shape, training):
    pytest.importorskip("timm" if architecture == "timm" else "torch")
    network = create(6, shape, architecture=architecture).train(training)
    logits = network(torch.rand(3, *shape))
    assert logits.shape == (3, 6)
    assert logits.isfinite().all()
    logits.sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_a_network_normalises_its_own_input(network, described, images):
    mean, std = (torch.tensor(described[key]).view(3, 1, 1) for key in ("mean", "std"))
    first, *rest = network.children()
    assert first is network.get_submodule("normalize")
    torch.testing.assert_close(nn.Sequential(*rest)((images - mean) / std), network(images))
    assert not torch.equal(network(images), nn.Sequential(*rest)(images))


def test_the_same_seed_gives_the_same_weights():
    def made(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return nn.utils.parameters_to_vector(create(10, (1, 8, 8), architecture="resnet", depth=8).parameters())

    assert torch.equal(made(1), made(1))
    assert not torch.equal(made(1), made(2))


def test_taps_are_the_features_in_the_order_of_the_computation(name, network, images):
    expected = {
        "cnn": {"stem": (12, 16, 16), "stage1": (12, 16, 16), "stage2": (24, 8, 8)},
        "mlp": {"stem": (24,), "stage1": (16,), "stage2": (8,)},
        "resnet": {"stem": (32, 16, 16), "stage1": (32, 16, 16), "stage2": (64, 8, 8), "stage3": (128, 4, 4)},
        "wrn": {"stem": (16, 16, 16), "stage1": (32, 16, 16), "stage2": (64, 8, 8), "stage3": (128, 4, 4)}
        | {"last": (128, 4, 4)},
        "vgg": {"stem": (8, 16, 16), "stage1": (16, 8, 8), "stage2": (32, 4, 4), "stage3": (64, 2, 2)}
        | {"stage4": (64, 2, 2)},
        "mobilenetv2": {"stem": (16, 8, 8), "stage1": (12, 8, 8), "stage2": (16, 4, 4), "stage3": (48, 2, 2)}
        | {"stage4": (160, 1, 1), "last": (1280, 1, 1)},
        "shufflenetv1": {"stem": (24, 16, 16), "stage1": (240, 8, 8), "stage2": (480, 4, 4), "stage3": (960, 2, 2)},
        "shufflenetv2": {"stem": (24, 16, 16), "stage1": (48, 8, 8), "stage2": (96, 4, 4), "stage3": (192, 2, 2)}
        | {"last": (1024, 2, 2)},
        "vit": {"stem": (32, 4, 4), "stage1": (32, 4, 4), "stage2": (32, 4, 4), "stage3": (32, 4, 4)},
    }
    seen = {}
    for tap, module in models.taps(network).items():
        module.register_forward_hook(lambda module, inputs, output, tap=tap: seen.update({tap: output}))
    network(images)
    assert list(seen) == list(models.taps(network))
    assert {tap: tuple(features.shape[1:]) for tap, features in seen.items()} == expected[name]


def test_the_head_gives_the_logits(network, images):
    logits = []
    models.head(network).register_forward_hook(lambda module, inputs, output: logits.append(output))
    assert network(images) is logits[0]
    assert isinstance(models.head(network), nn.Linear)


@pytest.mark.parametrize(
    ("classes", "shape", "mean", "std", "message"),
    [
        (10, (1, 7, 8), [0.5], [0.5], "7x8 pixels are too small"),
        (1, (1, 8, 8), [0.5], [0.5], "at least 2 classes, not 1"),
        (10, (3, 8, 8), [0.5], [0.5], "each of 3 channels"),
        (10, (1, 8, 8), [0.5], [0.0], "positive std"),
    ],
)
def test_what_cannot_be_made_is_refused(classes, shape, mean, std, message):
    with pytest.raises(ValueError, match=message):
        models.create(validate("architecture", "cnn"), classes, shape, mean, std)


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        ({"architecture": "resnet", "depth": 21}, "the nearest are 20 and 26"),
        ({"architecture": "resnet", "depth": 116}, "110"),
        ({"architecture": "resnet", "width": 3}, "1, 2 or 4"),
        ({"architecture": "wrn", "depth": 20}, "the nearest are 16 and 22"),
        ({"architecture": "wrn", "depth": 4}, "10"),
        ({"architecture": "vgg", "depth": 12}, "8, 11, 13, 16 or 19"),
        ({"architecture": "shufflenetv1", "groups": 4}, "1, 2 or 3"),
        ({"architecture": "shufflenetv2", "size": "x3"}, "'x0.5', 'x1', 'x1.5' or 'x2'"),
        ({"architecture": "vit", "dim": 100, "heads": 3}, r"multiple of heads \(3\); the nearest are 99 and 102"),
        ({"architecture": "cnn", "width": 0}, r"(?s)width.*\b1\b"),
        ({"architecture": "cnn", "depth": 8}, "depth"),
        ({"architecture": "mlp", "widths": []}, r"(?s)widths.*\b1\b"),
        ({"architecture": "mlp", "widths": [8, 0]}, r"(?s)widths\.1.*\b1\b"),
    ],
)
def test_options_out_of_bounds_are_refused_with_what_would_do(architecture, message):
    with pytest.raises(ValidationError, match=message):
        validate("architecture", architecture)


def test_every_option_of_every_architecture_has_a_help_text():
    for entry in registry.entries("architecture"):
        assert entry.description
        assert entry.source
        for option, field in entry.options.model_fields.items():
            assert option == "architecture" or len(field.description or "") > 20


def test_a_description_is_json_and_names_everything(name, described):
    assert json.loads(json.dumps(described)) == described
    assert described["schema"] == 1
    assert described["architecture"]["architecture"] == name
    assert (described["classes"], described["shape"]) == (5, [3, 16, 16])


def test_an_unknown_architecture_is_told_with_those_that_there_are(described):
    with pytest.raises(ValueError, match=r"no architecture 'vgg7'; there are: .*cnn, gpt2, mlp, mobilenetv2, resnet"):
        models.rebuild(described | {"architecture": {"architecture": "vgg7"}}, {})
