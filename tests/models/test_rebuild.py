from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import torch_pruning
from safetensors.torch import load_file, save_file
from torch import nn

from kdcore import models
from kdcore.models.cost import macs
from tests.models.conftest import PRUNABLE

torch.set_num_threads(1)


def pruned(network: nn.Module, images: torch.Tensor, ratio: float = 0.5) -> nn.Module:
    torch_pruning.pruner.BasePruner(
        network,
        images[:1],
        importance=torch_pruning.importance.GroupMagnitudeImportance(p=2),
        pruning_ratio=ratio,
        round_to=4,  # attention's heads
        ignored_layers=[models.head(network)],
    ).step()
    return network


def same(left: nn.Module, right: nn.Module, images: torch.Tensor) -> bool:
    """Bit by bit: the logits, and every tensor by name."""
    ours, theirs = left.state_dict(), right.state_dict()
    with torch.no_grad():
        logits = torch.equal(left(images), right(images))
    return logits and list(ours) == list(theirs) and all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_a_rebuilt_network_is_the_same_bit_by_bit(network, described, images):
    rebuilt = models.rebuild(described, network.state_dict())
    assert same(network, rebuilt, images)
    assert not any(module.training for module in rebuilt.modules())
    assert all(parameter.requires_grad for parameter in rebuilt.parameters())


def test_it_comes_back_from_files(network, described, images, tmp_path: Path):
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    (tmp_path / "architecture.json").write_text(json.dumps(described))
    document = json.loads((tmp_path / "architecture.json").read_text())
    assert same(network, models.rebuild(document, load_file(tmp_path / "model.safetensors")), images)


@pytest.mark.parametrize("name", PRUNABLE, indirect=True)
def test_a_pruned_network_comes_back_with_its_channels(network, described, images):
    whole = sum(parameter.numel() for parameter in network.parameters())
    small = pruned(network, images)
    assert sum(parameter.numel() for parameter in small.parameters()) < 0.6 * whole
    rebuilt = models.rebuild(described, small.state_dict())
    assert same(small, rebuilt, images)
    assert repr(rebuilt) == repr(small)  # the layers' own sizes too
    assert macs(rebuilt, (3, 16, 16)) == macs(small, (3, 16, 16))


@pytest.mark.parametrize("name", PRUNABLE, indirect=True)
def test_a_pruned_network_can_be_pruned_again_and_trained(network, described, images):
    rebuilt = models.rebuild(described, pruned(network, images, 0.3).state_dict())
    again = models.rebuild(described, pruned(rebuilt, images, 0.3).state_dict())
    assert same(rebuilt, again, images)
    again.train()(images).sum().backward()
    assert all(parameter.grad is not None for parameter in again.parameters())


def test_rebuilding_copies_the_tensors_and_draws_no_random_number(network, described, images):
    state = torch.get_rng_state()
    rebuilt = models.rebuild(described, network.state_dict())
    assert torch.equal(torch.get_rng_state(), state)
    with torch.no_grad():
        models.head(rebuilt).weight.zero_()
    assert models.head(network).weight.abs().sum() > 0


def test_channels_last_weights_come_back_in_the_usual_layout(network, described, images):
    rebuilt = models.rebuild(described, network.to(memory_format=torch.channels_last).state_dict())
    assert all(parameter.is_contiguous() for parameter in rebuilt.parameters())


@pytest.mark.parametrize("name", ["cnn"], indirect=True)
@pytest.mark.parametrize(
    ("tensor", "shape"),
    [
        ("stem.conv.weight", (12, 1, 3, 3)),  # another number of image channels
        ("stem.conv.weight", (12, 3, 5, 5)),  # another kernel
        ("stem.conv.weight", (0, 3, 3, 3)),
        ("stage1.conv.weight", (12, 9, 3, 3)),  # not what the stem gives
        ("stage1.norm.weight", (9,)),  # not what its convolution gives
        ("stage1.norm.running_mean", (9,)),  # not its weight's size
        ("stage2.norm.bias", ()),
        ("head.bias", (4,)),
        ("head.weight", (5, 24, 1)),
        ("normalize.mean", (1, 1, 1)),
    ],
)
def test_a_tensor_that_does_not_fit_is_named(network, described, tensor, shape):
    with pytest.raises(ValueError, match=f"tensor '{tensor}'"):
        models.rebuild(described, network.state_dict() | {tensor: torch.zeros(shape)})


@pytest.mark.parametrize("name", ["cnn"], indirect=True)
def test_a_missing_or_unknown_tensor_is_named(network, described):
    state = network.state_dict()
    with pytest.raises(ValueError, match=r"the network has no tensor 'stage9\.weight'"):
        models.rebuild(described, state | {"stage9.weight": torch.zeros(1)})
    del state["stage1.conv.weight"]
    with pytest.raises(ValueError, match=r"tensor 'stage1\.conv\.weight' is missing"):
        models.rebuild(described, state)


def test_a_head_for_other_classes_is_refused(network, described):
    with pytest.raises(ValueError, match=r"'head\.weight' makes 5 logits, not one for each of 6 classes"):
        models.rebuild(described | {"classes": 6}, network.state_dict())


@pytest.mark.parametrize("name", ["resnet"], indirect=True)
def test_branches_that_do_not_meet_are_refused(network, described):
    state = network.state_dict()
    block = {
        key: torch.zeros(20, *value.shape[1:])
        for key, value in state.items()
        if key.startswith(("stage1.0.conv2", "stage1.0.norm2")) and value.ndim
    }
    with pytest.raises(ValueError, match=r"stage1\.0"):
        models.rebuild(described, state | block)
