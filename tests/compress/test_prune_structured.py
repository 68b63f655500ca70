from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from kdcore import models, registry
from kdcore.compress.step import CompressError
from kdcore.export import weights
from kdcore.export.onnx_file import export
from kdcore.paths import home


def filters(network: nn.Module) -> dict[str, int]:
    return {
        name: len(module.weight)
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    }


@pytest.mark.parametrize("importance", ["l2", "l1"])
def test_the_smallest_filters_leave_and_the_others_stay_as_they_are(trained, material, carry_out, importance):
    network = trained(width=16)
    weak = [1, 2, 3, 5, 7, 11, 13, 14]
    with torch.no_grad():
        network.stem.conv.weight[weak] *= 1e-3
        network.stem.norm.weight[weak] *= 1e-3
        network.stage1.conv.weight[:, weak] *= 1e-3
    before = copy.deepcopy(network)
    pruned = carry_out(material(network), "prune_structured", importance=importance).network
    strong = [place for place in range(16) if place not in weak]
    assert torch.equal(pruned.stem.conv.weight, before.stem.conv.weight[strong])
    assert torch.equal(pruned.stem.norm.bias, before.stem.norm.bias[strong])
    assert pruned.stage1.conv.weight.shape == (8, 8, 3, 3)


@pytest.mark.parametrize(
    ("width", "ratio", "round_to", "kept"),
    [
        (32, 0.5, 8, 16),
        (16, 0.95, 8, 8),  # never nothing
        (12, 0.5, 8, 8),  # 6 are nearest to 8
        (24, 0.5, 8, 16),  # half-way goes up
        (24, 0.6, 8, 8),  # 9 are nearest to 8
        (24, 0.5, 1, 12),
        (24, 0.5, 16, 16),
    ],
)
def test_the_filters_that_stay_are_the_nearest_multiple(trained, material, carry_out, width, ratio, round_to, kept):
    outcome = carry_out(material(trained(width=width)), "prune_structured", ratio=ratio, round_to=round_to)
    assert filters(outcome.network)["stem.conv"] == filters(outcome.network)["stage1.conv"] == kept
    row = outcome.report[0]
    assert row["name"] == "stem.conv"
    assert (row["before"], row["after"]) == ([width, 1, 3, 3], [kept, 1, 3, 3])
    assert (row["filters_before"], row["filters"]) == (width, kept)
    assert row["removed"] == pytest.approx(1 - kept / width)


@pytest.mark.parametrize("importance", ["l2", "bn", "taylor"])
@pytest.mark.parametrize("scope", ["layer", "global"])
@pytest.mark.parametrize(("architecture", "options"), [("cnn", {"width": 16}), ("resnet", {"depth": 8})])
def test_pruned_networks_are_ordinary_networks(
    trained, material, carry_out, tmp_path, images, importance, scope, architecture, options
):
    network = trained(architecture, **options)
    before = filters(network)
    outcome = carry_out(material(network, count=200), "prune_structured", importance=importance, scope=scope)
    pruned = outcome.network
    assert not pruned.training
    assert all(parameter.requires_grad for parameter in pruned.parameters())
    assert filters(pruned)["head"] == 10
    assert all(count <= before[name] and count % 8 == 0 for name, count in filters(pruned).items() if name != "head")
    assert [row["filters"] for row in outcome.report] == list(filters(pruned).values())

    chosen = registry.validate("architecture", {"architecture": architecture, **options})
    weights.save(tmp_path, pruned, models.describe(chosen, 10, (1, 8, 8), [0.3], [0.4]))
    assert torch.equal(weights.load(tmp_path)(images[:8]), pruned(images[:8]))
    path = tmp_path / "pruned.onnx"
    report = export(pruned, (1, 8, 8), path, images=images[:8].numpy(), cache=home() / "cache" / "onnx")
    assert report["size_bytes"] < 4 * sum(parameter.numel() for parameter in network.parameters()) + 5000


def test_global_pruning_takes_the_share_from_all_layers_together(trained, material, carry_out):
    network = trained(width=32)
    with torch.no_grad():  # the last convolution matters least
        network.stage2.conv.weight *= 1e-3
        network.stage2.norm.weight *= 1e-3
        network.head.weight *= 1e-3
    outcome = carry_out(material(network), "prune_structured", ratio=0.3, scope="global", importance="bn", round_to=1)
    left = filters(outcome.network)
    assert left["stem.conv"] + left["stage1.conv"] + left["stage2.conv"] == pytest.approx(0.7 * 128, abs=1)


def test_light_pruning_survives_by_recalibration_alone(trained, material, carry_out, accuracy):
    network = trained(width=32)
    before = accuracy(network)
    pruned = carry_out(material(network), "prune_structured", ratio=0.15).network
    assert before > 0.95
    assert filters(pruned)["stem.conv"] == 24
    assert accuracy(pruned) > 0.85


def test_random_choices_follow_the_seed_and_leave_torchs_alone(trained, material, carry_out):
    def pruned(seed):
        given = material(trained(width=16), seed=seed, count=100)
        return carry_out(given, "prune_structured", importance="random").network.stem.conv.weight

    state = torch.random.get_rng_state()
    first = pruned(0)
    assert torch.equal(first, pruned(0))
    assert not torch.equal(first, pruned(1))
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize(
    ("architecture", "options"),
    [("cnn", {"ratio": 0.05, "round_to": 16}), ("mlp", {"importance": "bn"})],
)
def test_removing_nothing_is_refused(trained, material, carry_out, architecture, options):
    with pytest.raises(CompressError, match="nothing was removed"):
        carry_out(material(trained(architecture)), "prune_structured", **options)


class Stubborn(nn.Module):
    """Its code counts on 16 channels."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 16, 3, padding=1)
        self.head = nn.Linear(16, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.conv(images).mean((2, 3)).view(-1, 16) + torch.zeros(16))


def test_a_network_that_cannot_be_followed_is_refused_by_name(material, carry_out):
    with pytest.raises(CompressError, match="torch-pruning cannot prune this Stubborn: "):
        carry_out(material(Stubborn()), "prune_structured")


def test_numbers_of_the_report_are_plain(trained, material, carry_out):
    outcome = carry_out(material(trained(width=16), count=50), "prune_structured")
    kinds = {type(value) for row in outcome.report for value in row.values()}
    assert kinds <= {str, int, float, list}
    assert np.isfinite([row["removed"] for row in outcome.report]).all()


IMPORTANCES = ["l2", "l1", "bn", "fpgm", "lamp", "taylor", "hessian", "random"]
FAMILIES = {
    "resnet": {"depth": 8},
    "vgg": {"depth": 11, "width": 0.25},
    "wrn": {"depth": 10, "width": 1},
    "mobilenetv2": {"width": 0.35},
    "vit": {"patch": 2, "depth": 2, "dim": 32, "heads": 4},
}


def fresh(architecture):
    torch.manual_seed(0)
    chosen = registry.validate("architecture", {"architecture": architecture, **FAMILIES[architecture]})
    return chosen, models.create(chosen, 10, (1, 8, 8), [0.3], [0.4]).eval()


@pytest.mark.parametrize("importance", IMPORTANCES)
@pytest.mark.parametrize("architecture", FAMILIES)
def test_every_importance_prunes_every_family(material, carry_out, tmp_path, images, architecture, importance):
    chosen, network = fresh(architecture)
    before = filters(network)
    options = {"importance": importance, "images": 8, "scope": "global" if importance == "lamp" else "layer"}
    if architecture == "vit" and importance == "bn":
        with pytest.raises(CompressError, match="'bn' cannot rank any layer"):
            carry_out(material(network, count=40), "prune_structured", **options)
        return
    pruned = carry_out(material(network, count=40), "prune_structured", **options).network
    after = filters(pruned)
    assert sum(after.values()) < 0.8 * sum(before.values())
    assert all(parameter.grad is None for parameter in pruned.parameters())
    weights.save(tmp_path, pruned, models.describe(chosen, 10, (1, 8, 8), [0.3], [0.4]))
    assert torch.equal(weights.load(tmp_path)(images[:8]), pruned(images[:8]))


def test_filters_without_gradient_leave_first(trained, material, carry_out, images):
    network = trained(width=16)
    dead = [0, 3, 4, 5, 9, 10, 12, 15]
    with torch.no_grad():  # large, and nobody listens
        network.stem.conv.weight[dead] *= 10
        network.stage1.conv.weight[:, dead] = 0
    alive = [place for place in range(16) if place not in dead]
    for importance in ("taylor", "hessian"):
        given = material(copy.deepcopy(network), count=64)
        pruned = carry_out(given, "prune_structured", importance=importance).network
        assert torch.equal(pruned.stem.conv.weight, network.stem.conv.weight[alive]), importance


def test_attention_heads_lose_the_same_places_and_say_the_same(material, carry_out, images):
    _, network = fresh("vit")
    weak = {0: 3, 1: 3, 2: 3, 3: 3}  # place 3 of each head of 8
    rows = [8 * head + place for head, place in weak.items()]
    with torch.no_grad():
        for block in (network.stage1.blocks[0], network.stage2.blocks[0]):
            for layer in (block.attention.query, block.attention.key, block.attention.value):
                layer.weight[rows] = 0
            block.attention.out.weight[:, rows] = 0
    before = network(images[:8])
    names = [f"stage{stage}.blocks.0.attention.{layer}" for stage in (1, 2) for layer in ("query", "key", "value")]
    policy = dict.fromkeys(names, 0.125)
    outcome = carry_out(material(network, count=40), "prune_structured", policy=policy, round_to=4)
    assert {row["name"]: row["filters"] for row in outcome.report if row["removed"]} == dict.fromkeys(names, 28)
    scale = (8 / 7) ** 0.25  # the attention's 1 / sqrt(d) has changed
    with torch.no_grad():
        for block in (outcome.network.stage1.blocks[0], outcome.network.stage2.blocks[0]):
            for layer in (block.attention.query, block.attention.key):
                layer.weight /= scale
                layer.bias /= scale
    torch.testing.assert_close(outcome.network(images[:8]), before, rtol=1e-4, atol=1e-5)


def test_a_policy_prunes_layer_by_layer_and_layers_in_step_take_the_least(trained, material, carry_out):
    network = trained(width=32)
    policy = {"stem.conv": 0.25, "stage1.conv": 0.5}
    outcome = carry_out(material(network, count=100), "prune_structured", policy=policy)
    assert filters(outcome.network) == {"stem.conv": 24, "stage1.conv": 16, "stage2.conv": 64, "head": 10}

    _, residual = fresh("resnet")
    shortcut = [name for name in filters(residual) if name.startswith("stage1.")]
    before = filters(residual)
    policy = dict.fromkeys(["stem.conv", *shortcut], 0.5) | {shortcut[0]: 0.75}
    after = filters(carry_out(material(residual, count=40), "prune_structured", policy=policy, round_to=4).network)
    assert after[shortcut[0]] == before[shortcut[0]] // 4
    assert after["stem.conv"] == after[shortcut[1]] == before["stem.conv"] // 2
    with pytest.raises(CompressError, match="policy names nothing, which is not a layer"):
        carry_out(material(trained(width=32), count=40), "prune_structured", policy={"nothing": 0.5})


def test_rounds_reach_the_same_sizes_and_rank_anew(trained, material, carry_out):
    once, slowly = (
        carry_out(material(trained(width=32), count=100), "prune_structured", rounds=rounds, importance="taylor")
        for rounds in (1, 4)
    )
    assert filters(once.network) == filters(slowly.network)
    assert not torch.equal(once.network.stage2.conv.weight, slowly.network.stage2.conv.weight)


def test_groups_of_a_convolution_stay_equally_large_and_are_rounded_as_a_whole(material, carry_out, images):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 24, 1), nn.Conv2d(24, 24, 3, groups=3), nn.ReLU(), nn.Flatten())
    network.add_module("head", nn.Linear(24 * 36, 10))
    outcome = carry_out(material(network.eval(), count=40), "prune_structured", ratio=0.4, round_to=4)
    assert outcome.network[1].weight.shape[0] in (12, 24)
    assert outcome.network[1].groups == 3
    assert outcome.network(images[:2]).shape == (2, 10)


def test_zeros_of_an_earlier_step_stay_through_fine_tuning(trained, material, carry_out):
    sparse = carry_out(material(trained(width=16), count=100), "prune_unstructured", ratio=0.5).network
    outcome = carry_out(material(sparse, count=100), "prune_structured")
    zeros = outcome.network.stage2.conv.weight == 0
    assert zeros.any()
    with torch.no_grad():
        outcome.network.stage2.conv.weight.add_(1)
    outcome.constrain()
    assert torch.equal(outcome.network.stage2.conv.weight == 0, zeros)
    assert carry_out(material(trained(width=16), count=100), "prune_structured").constrain is None
