from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from kdcore import models
from kdcore.export import onnx_file
from kdcore.models.cost import macs
from kdcore.models.fold import folded
from kdcore.models.nets.layers import shuffle
from kdcore.registry import validate
from tests.models.conftest import PRUNABLE
from tests.models.test_rebuild import pruned, same

torch.set_num_threads(1)

OURS = ("cnn", "mlp", "resnet", "wrn", "vgg", "mobilenetv2", "shufflenetv1", "shufflenetv2", "vit")
SLOW_TO_EXPORT = {"resnet", "wrn", "mobilenetv2", "shufflenetv1", "shufflenetv2", "vit"}
SLOW_TO_TRAIN = {"wrn", "vgg", "mobilenetv2", "shufflenetv1", "shufflenetv2"}
SHAPES = ((1, 8, 8), (3, 32, 32))


def create(shape: tuple[int, int, int], classes: int = 100, **architecture) -> nn.Module:
    channels = shape[0]
    return models.create(validate("architecture", architecture), classes, shape, [0.3] * channels, [0.4] * channels)


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("published", "architecture"),
    [
        (569_780, {"architecture": "wrn", "depth": 40, "width": 1}),
        (2_255_156, {"architecture": "wrn", "depth": 40, "width": 2}),
        (703_284, {"architecture": "wrn", "depth": 16, "width": 2}),
        (3_965_028, {"architecture": "vgg", "depth": 8}),
        (9_462_180, {"architecture": "vgg", "depth": 13}),
        (812_836, {"architecture": "mobilenetv2", "width": 0.5, "expansion": 6}),
        (949_258, {"architecture": "shufflenetv1", "groups": 3}),
        (1_355_528, {"architecture": "shufflenetv2", "size": "x1"}),
        (23_705_252, {"architecture": "torchvision", "name": "resnet50"}),  # with the small stem: their "ResNet50"
    ],
    ids=lambda value: "" if isinstance(value, int) else "-".join(map(str, value.values())),
)
def test_the_published_numbers_of_parameters(published, architecture):
    # The networks of RepDistiller and mdistiller on CIFAR-100, in which these pairs of the literature were trained.
    with torch.device("meta"):
        assert parameters(create((3, 32, 32), **architecture)) == published


@pytest.mark.parametrize(("depth", "convolutions"), [(11, 8), (16, 13), (19, 16)])
def test_vgg_has_the_papers_convolutions(depth, convolutions):
    with torch.device("meta"):
        network = create((3, 32, 32), architecture="vgg", depth=depth)
    found = [(m.in_channels, m.out_channels) for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert len(found) == convolutions == depth - 3  # one linear layer instead of the paper's three
    counted = sum(9 * inputs * outputs + 3 * outputs for inputs, outputs in found)  # weights, bias, batch norm
    assert parameters(network) == counted + 512 * 100 + 100


@pytest.mark.parametrize(("side", "maps"), [(8, [8, 4, 2, 2, 2]), (16, [16, 8, 4, 2, 2]), (32, [32, 16, 8, 4, 4]),
                                            (64, [64, 32, 16, 8, 4])])  # fmt: skip
def test_vgg_leaves_out_the_pools_that_a_small_image_cannot_feed(side, maps):
    network = create((1, side, side), architecture="vgg", width=0.05)
    assert [features.shape[-1] for features in tapped(network, torch.rand(1, 1, side, side)).values()] == maps


def test_a_narrow_vgg_has_a_share_of_the_filters():
    network = create((3, 32, 32), architecture="vgg", depth=8, width=0.25)
    assert [m.out_channels for m in network.modules() if isinstance(m, nn.Conv2d)] == [16, 32, 64, 128, 128]


def test_wide_residual_networks_have_as_many_layers_as_they_say():
    for depth in (10, 16, 40):
        with torch.device("meta"):
            network = create((3, 32, 32), architecture="wrn", depth=depth)
        layers = [path for path, module in network.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)]
        assert len([path for path in layers if "shortcut" not in path]) + 2 == depth  # the paper counts shortcuts' too


def test_a_shuffle_takes_one_channel_of_each_group_in_turn():
    channels = torch.arange(6.0).view(1, 6, 1, 1)
    assert shuffle(channels, 2).flatten().tolist() == [0, 3, 1, 4, 2, 5]
    assert shuffle(channels, 3).flatten().tolist() == [0, 2, 4, 1, 3, 5]


def test_a_transformer_pads_images_that_are_no_multiple_of_its_patch_with_the_mean_colour():
    network = create((3, 9, 15), architecture="vit", dim=16, depth=2).eval()
    image = torch.rand(1, 3, 9, 15)
    whole = torch.full((1, 3, 12, 16), 0.3)  # the mean of the pixels
    whole[..., :9, :15] = image
    stem = network.get_submodule("stem")
    assert stem.position.shape == (16, 3, 4)
    with torch.no_grad():
        normalized = network.get_submodule("normalize")(whole)
        torch.testing.assert_close(
            stem(network.get_submodule("normalize")(image)), stem.conv(normalized) + stem.position
        )


def test_attention_is_that_of_torchs_own_layer():
    from kdcore.models.nets.vit import Attention

    torch.manual_seed(0)
    ours, theirs = Attention(12, 3), nn.MultiheadAttention(12, 3, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([layer.weight for layer in (ours.query, ours.key, ours.value)]))
        theirs.in_proj_bias.copy_(torch.cat([layer.bias for layer in (ours.query, ours.key, ours.value)]))
        theirs.out_proj.load_state_dict(ours.out.state_dict())
        tokens = torch.rand(2, 5, 12)
        torch.testing.assert_close(ours(tokens), theirs(tokens, tokens, tokens)[0])


def test_the_macs_of_a_transformer_counted_by_hand():
    network = create((3, 32, 32), 10, architecture="vit", patch=4, depth=2, dim=32, heads=4)
    tokens, dim = 64, 32
    block = 4 * tokens * dim * dim + 2 * tokens * tokens * dim + 8 * tokens * dim * dim
    assert macs(network, (3, 32, 32)) == tokens * 48 * dim + 2 * block + dim * 10


def test_the_macs_of_attention_are_the_same_on_the_meta_device():
    with torch.device("meta"):
        network = create((3, 32, 32), 10, architecture="vit", depth=2)
    assert macs(network, (3, 32, 32)) == macs(create((3, 32, 32), 10, architecture="vit", depth=2), (3, 32, 32))


def test_a_patch_larger_than_the_image_is_refused_with_what_would_do():
    with pytest.raises(ValueError, match=r"larger than images of 8x8; a patch of 8 or less"):
        create((1, 8, 8), architecture="vit", patch=16)


def tapped(network: nn.Module, images: torch.Tensor) -> dict[str, torch.Tensor]:
    seen: dict[str, torch.Tensor] = {}
    for tap, module in models.taps(network).items():
        module.register_forward_hook(lambda module, inputs, output, tap=tap: seen.update({tap: output}))
    network(images)
    return seen


@pytest.mark.parametrize("architecture", OURS)
def test_nobody_changes_a_tapped_output_afterwards(architecture):
    network = create((3, 16, 16), 5, architecture=architecture)
    versions: dict[str, int] = {}
    for tap, module in models.taps(network).items():
        module.register_forward_hook(lambda m, i, output, tap=tap: versions.update({tap: output._version}))
    seen = tapped(network, torch.rand(2, 3, 16, 16))
    assert {tap: features._version for tap, features in seen.items()} == versions
    assert len(versions) >= 2
    sum(features.square().mean() for features in seen.values()).backward()


def seen(shape: tuple[int, int, int], architecture: str) -> nn.Module:
    """A network whose batch norms have seen images, in evaluation mode."""
    torch.manual_seed(0)
    network = create(shape, 5, architecture=architecture)
    with torch.no_grad():
        network(torch.rand(8, *shape))
    return network.eval()


def described(shape: tuple[int, int, int], architecture: str) -> dict:
    channels = shape[0]
    return models.describe(validate("architecture", architecture), 5, shape, [0.3] * channels, [0.4] * channels)


@pytest.mark.parametrize("architecture", OURS)
@pytest.mark.parametrize("shape", SHAPES)
def test_it_comes_back_bit_by_bit_at_both_sizes_also_pruned(architecture, shape):
    network, images = seen(shape, architecture), torch.rand(3, *shape)
    rebuilt = models.rebuild(described(shape, architecture), network.state_dict())
    assert same(network, rebuilt, images)
    assert macs(rebuilt, shape) == macs(network, shape) > 0
    if architecture in PRUNABLE:
        small = pruned(network, images)
        assert same(small, models.rebuild(described(shape, architecture), small.state_dict()), images)


@pytest.mark.parametrize("architecture", OURS)
@pytest.mark.parametrize("shape", SHAPES)
def test_folding_keeps_the_logits(architecture, shape):
    network = seen(shape, architecture)
    with torch.no_grad():
        images = torch.rand(3, *shape)
        logits = network(images)
        graph = folded(network)
        assert graph is not None
        torch.testing.assert_close(graph(images), logits, rtol=1e-4, atol=1e-5)


def exports() -> list:
    return [
        pytest.param(name, shape, marks=[pytest.mark.slow] if name in SLOW_TO_EXPORT or shape[1] > 8 else [])
        for name in OURS
        for shape in SHAPES
    ]


@pytest.mark.parametrize(("architecture", "shape"), exports())
def test_the_exported_file_gives_the_same_logits(architecture, shape, tmp_path: Path):
    network, images = seen(shape, architecture), torch.rand(4, *shape)
    report = onnx_file.export(network, shape, tmp_path / "model.onnx", images=images.numpy())
    assert report["verified_images"] == 4


@pytest.mark.parametrize(
    "architecture", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW_TO_TRAIN else []) for name in OURS]
)
def test_it_learns_in_bf16_and_channels_last(architecture):
    torch.manual_seed(0)
    network = create((3, 16, 16), 2, architecture=architecture).to(memory_format=torch.channels_last)
    labels = torch.arange(8) % 2
    images = (labels.view(-1, 1, 1, 1) * 0.5 + 0.5 * torch.rand(8, 3, 16, 16)).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3)
    losses = []
    for _ in range(6):
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(images)
        loss = nn.functional.cross_entropy(logits.float(), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
