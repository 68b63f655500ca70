from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from kdcore.compress.step import CompressError, StepInput
from kdcore.compress.tools import gradients
from kdcore.compress.tools.masks import keep_zeros, patterned, picked
from kdcore.compress.tools.scores import scores
from kdcore.data.labelling import MANY_LABELS


def weights_of(network: nn.Module) -> dict[str, torch.Tensor]:
    found = {n: m.weight for n, m in network.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}
    return {name: weight.detach().clone() for name, weight in found.items()}


def material_of(network, images, targets=None, folder=None, **more):
    return StepInput(network, folder, images, tuple(images.shape[1:]), folder, 0, targets, **more)


def test_taylor_removes_the_weights_whose_product_with_the_gradient_is_smallest(trained, material, carry_out, images):
    network = trained(width=8)
    given = material(copy.deepcopy(network), count=100)
    functional.cross_entropy(network(images[:100]), given.targets.argmax(1)).backward()
    products = {
        n: (m.weight * m.weight.grad).detach().abs() for n, m in network.named_modules() if hasattr(m, "weight")
    }
    pruned = carry_out(given, "prune_unstructured", importance="taylor", ratio=0.5, scope="layer").network
    for name, weight in weights_of(pruned).items():
        assert int((weight == 0).sum()) == round(weight.numel() / 2)
        score = products[name]
        assert score[weight == 0].max() <= score[weight != 0].min() * (1 + 1e-3)
    assert all(parameter.grad is None for parameter in pruned.parameters())


def test_gradients_look_at_labelled_images_alone(images):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    one = torch.tensor([[0, 1.0, 0], [0, 0, 0], [1, 0, 0]])
    found, wanted = gradients.labelled(material_of(network, images[:3], one), 8)
    assert len(found) == 2
    assert wanted.sum() == 2
    many = torch.tensor([[0, 0, 0], [torch.nan] * 3, [1, 1.0, 0]])
    found, wanted = gradients.labelled(material_of(network, images[:3], many, labelling=MANY_LABELS), 8)
    assert len(found) == 2
    assert not wanted.isnan().any()
    for targets in (None, torch.zeros(3, 3)):
        with pytest.raises(CompressError, match="need labelled examples"):
            gradients.labelled(material_of(network, images[:3], targets), 8)


def test_squared_gradients_are_those_of_each_image(images, targets):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    gradients.squared(network, material_of(network, images[:5], targets[:5]), 8)
    errors = network(images[:5]).softmax(1) - targets[:5]  # the gradient of cross-entropy by hand
    by_hand = torch.einsum("nk,nd->nkd", errors, images[:5].flatten(1)).square().mean(0)
    torch.testing.assert_close(network[1].weight.grad, by_hand)


def test_wanda_multiplies_with_the_norm_of_the_input_of_linear_layers_and_groups():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(4, 6, 3, groups=2), nn.Flatten(), nn.Linear(6, 3)).eval()
    images = torch.rand(7, 4, 3, 3)
    found = scores(material_of(network, images), "wanda", 8)
    norms = images.square().sum((0, 2, 3)).sqrt()
    for row in range(6):
        for column in range(2):
            norm = norms[column + (2 if row >= 3 else 0)]
            torch.testing.assert_close(found["0"][row, column], network[0].weight[row, column].detach().abs() * norm)
    given = network[:2](images)
    torch.testing.assert_close(found["2"], network[2].weight.detach().abs() * given.norm(dim=0))


def test_wanda_refuses_layers_that_it_cannot_see():
    class Silent(nn.Module):
        def __init__(self):
            super().__init__()
            self.idle = nn.Linear(3, 3)

        def forward(self, images):
            return functional.linear(images.flatten(1)[:, :3], self.idle.weight)

    with pytest.raises(CompressError, match="layer idle is never called"):
        scores(material_of(Silent(), torch.rand(2, 1, 8, 8)), "wanda", 8)


def test_scopes_rank_together_what_they_name():
    torch.manual_seed(0)
    given = {"a": torch.rand(4, 10), "b": torch.rand(2, 5, 2) + 0.5}
    by_filter = picked(given, 0.3, "filter")
    assert (~by_filter["a"]).sum(1).tolist() == [3] * 4
    assert (~by_filter["b"]).flatten(1).sum(1).tolist() == [3] * 2
    by_layer = picked(given, 0.3, "layer")
    assert [int((~mask).sum()) for mask in by_layer.values()] == [12, 6]
    together = picked(given, 0.3, "global")
    everything = torch.cat([values.flatten() for values in given.values()])
    gone = torch.cat([~mask.flatten() for mask in together.values()])
    assert torch.equal(everything[gone].sort().values, everything.sort().values[:18])
    by_policy = picked(given, {"b": 0.5}, "global")
    assert by_policy["a"].all()
    assert int((~by_policy["b"]).sum()) == 10


@pytest.mark.parametrize("pattern", ["2:4", "4:8", "1:4"])
def test_patterns_keep_the_best_of_every_group_of_neighbouring_channels(pattern):
    torch.manual_seed(0)
    kept, group = map(int, pattern.split(":"))
    score = torch.rand(3, 16, 2, 2)
    mask = patterned({"a": score, "odd": torch.rand(3, 6)}, pattern)
    assert mask["odd"].all()
    for row in range(3):
        for first in range(0, 16, group):
            part = score[row, first : first + group, 1, 0]
            best = part >= part.sort(descending=True).values[kept - 1]
            assert torch.equal(mask["a"][row, first : first + group, 1, 0], best)


def test_zeros_that_were_there_come_first_and_stay():
    torch.manual_seed(0)
    network = nn.Linear(4, 2)
    with torch.no_grad():
        network.weight[0] = 0
    constrain = keep_zeros(network)
    with torch.no_grad():
        network.weight += 1
    constrain()
    assert (network.weight[0] == 0).all()
    assert (network.weight[1] != 0).all()


@pytest.mark.parametrize("importance", ["magnitude", "random", "taylor", "wanda"])
@pytest.mark.parametrize(
    ("architecture", "options"), [("cnn", {"width": 8}), ("vit", {"patch": 2, "depth": 2, "dim": 16, "heads": 2})]
)
def test_every_score_prunes_the_share_the_same_way_twice(
    trained, material, carry_out, importance, architecture, options
):
    def pruned(seed):
        given = material(trained(architecture, **options), seed=seed, count=100)
        scope = "layer" if importance == "wanda" else "global"
        return carry_out(given, "prune_unstructured", importance=importance, ratio=0.6, images=32, scope=scope)

    first = pruned(0)
    weights = sum(row["weights"] for row in first.report)
    assert sum(row["zeros"] for row in first.report) == pytest.approx(0.6 * weights, abs=len(first.report))
    again = weights_of(pruned(0).network)
    assert all(torch.equal(weight, again[name]) for name, weight in weights_of(first.network).items())
    if importance == "random":
        other = weights_of(pruned(1).network)
        assert not all(torch.equal(weight, other[name]) for name, weight in weights_of(first.network).items())


def test_zeros_of_an_earlier_step_stay_whatever_the_score(trained, material, carry_out):
    first = carry_out(material(trained(width=8), count=100), "prune_unstructured", ratio=0.7).network
    zeros = {name: weight == 0 for name, weight in weights_of(first).items()}
    second = carry_out(material(first, count=100), "prune_unstructured", ratio=0.8, importance="random")
    for name, weight in weights_of(second.network).items():
        assert (weight[zeros[name]] == 0).all()
    assert sum(row["zeros"] for row in second.report) == round(0.8 * sum(row["weights"] for row in second.report))
    less = carry_out(material(second.network, count=100), "prune_unstructured", ratio=0.1)
    with torch.no_grad():
        for parameter in less.network.parameters():
            parameter.add_(1)
    less.constrain()
    assert sum(int((weight == 0).sum()) for weight in weights_of(less.network).values()) == sum(
        row["zeros"] for row in second.report
    )


def test_patterns_and_policies_reach_the_network(trained, material, carry_out):
    outcome = carry_out(material(trained(width=8), count=100), "prune_unstructured", pattern="2:4")
    by_name = {row["name"]: row["sparsity"] for row in outcome.report}
    assert by_name.pop("stem.conv") == 0  # one input channel
    assert set(by_name.values()) == {0.5}
    with pytest.raises(CompressError, match="multiple of 8"):
        carry_out(material(nn.Linear(6, 3), count=10), "prune_unstructured", pattern="4:8")

    policy = {"stage1.conv": 0.25, "head": 0.75}
    outcome = carry_out(material(trained(width=8), count=100), "prune_unstructured", policy=policy)
    found = {row["name"]: row["sparsity"] for row in outcome.report}
    assert found == {"stem.conv": 0, "stage1.conv": 0.25, "stage2.conv": 0, "head": 0.75}
    with pytest.raises(CompressError, match=r"policy names stage9.conv, which is not a layer; layers: stem.conv"):
        carry_out(material(trained(width=8), count=100), "prune_unstructured", policy={"stage9.conv": 0.5})
