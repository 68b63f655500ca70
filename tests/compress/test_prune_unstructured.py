from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn

from kdcore.compress.step import CompressError
from kdcore.export import runtime
from kdcore.export.layers import layers
from kdcore.export.onnx_file import export
from kdcore.paths import home


def weights_of(network: nn.Module) -> dict[str, torch.Tensor]:
    found = {n: m.weight for n, m in network.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}
    return {name: weight.detach().clone() for name, weight in found.items()}


def test_the_smallest_weights_of_the_whole_network_become_zero(trained, material, carry_out):
    network = trained(width=16)
    before = weights_of(network)
    outcome = carry_out(material(network), "prune_unstructured", ratio=0.7)
    after = weights_of(outcome.network)
    everything = torch.cat([weight.flatten() for weight in before.values()])
    kept = torch.cat([weight.flatten() for weight in after.values()]) != 0
    assert int((~kept).sum()) == round(0.7 * len(everything))
    assert everything[~kept].abs().max() <= everything[kept].abs().min()
    for name, weight in after.items():
        assert torch.equal(weight[weight != 0], before[name][weight != 0])
    shares = [row["sparsity"] for row in outcome.report]
    assert max(shares) - min(shares) > 0.05  # layers differ in how much they lose


def test_the_smallest_weights_of_each_layer_become_zero(trained, material, carry_out):
    network = trained(width=16)
    before = weights_of(network)
    outcome = carry_out(material(network), "prune_unstructured", ratio=0.5, scope="layer")
    for row in outcome.report:
        weight, old = weights_of(outcome.network)[row["name"]], before[row["name"]]
        assert row["weights"] == weight.numel()
        assert row["zeros"] == int((weight == 0).sum()) == round(0.5 * weight.numel())
        assert row["sparsity"] == row["zeros"] / row["weights"]
        assert old[weight == 0].abs().max() <= old[weight != 0].abs().min()


def test_no_mask_stays_behind(trained, material, carry_out):
    network = trained(width=16)
    names, children = set(network.state_dict()), [type(module) for module in network.modules()]
    pruned = carry_out(material(network), "prune_unstructured").network
    assert set(pruned.state_dict()) == names
    assert [type(module) for module in pruned.modules()] == children
    assert all(isinstance(module.weight, nn.Parameter) for module in pruned.modules() if hasattr(module, "weight"))
    assert not any(module._forward_pre_hooks for module in pruned.modules())
    copy.deepcopy(pruned)


def test_zeros_stay_zero_through_fine_tuning_and_the_rest_learns(trained, material, carry_out, images):
    outcome = carry_out(material(trained(width=16)), "prune_unstructured", ratio=0.8)
    network = outcome.network.train()
    before = weights_of(network)
    optimizer = torch.optim.AdamW(network.parameters(), 0.01)
    for _ in range(3):
        nn.functional.cross_entropy(network(images[:64]), torch.arange(64) % 10).backward()
        optimizer.step()
        optimizer.zero_grad()
        outcome.constrain()
    for name, weight in weights_of(network).items():
        assert torch.equal(weight == 0, before[name] == 0)
        assert not torch.equal(weight, before[name])


def test_constraining_holds_after_the_network_has_moved(trained, material, carry_out):
    outcome = carry_out(material(trained(width=16)), "prune_unstructured", ratio=0.8)
    network = outcome.network.to(memory_format=torch.channels_last)
    zeros = {name: weight == 0 for name, weight in weights_of(network).items()}
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1)
    outcome.constrain()
    assert all(torch.equal(weight == 0, zeros[name]) for name, weight in weights_of(network).items())


def test_the_exported_file_has_the_zeros_and_no_fewer_bytes(trained, material, carry_out, tmp_path, images):
    network = trained(width=16)
    given = material(network, exported=True)
    parent_bytes = given.onnx.stat().st_size
    pruned = carry_out(given, "prune_unstructured", ratio=0.8).network
    path = tmp_path / "sparse.onnx"
    export(pruned, (1, 8, 8), path, images=images[:32].numpy(), cache=home() / "cache" / "onnx")
    found = layers(path, (1, 8, 8))
    assert sum(layer["zeros"] for layer in found) / sum(layer["weights"] for layer in found) == pytest.approx(
        0.8, abs=1e-3
    )
    assert path.stat().st_size == parent_bytes
    given_logits = runtime.logits(path, images[:32].numpy())
    assert torch.allclose(torch.from_numpy(given_logits), pruned(images[:32]), atol=1e-4)


def test_recalibration_helps(trained, material, carry_out, accuracy, monkeypatch):
    from kdcore.compress import prune_unstructured

    recalibrated = carry_out(material(trained(width=16)), "prune_unstructured", ratio=0.8).network
    monkeypatch.setattr(prune_unstructured, "recalibrate", lambda *_, **__: None)
    plain = carry_out(material(trained(width=16)), "prune_unstructured", ratio=0.8).network
    assert accuracy(recalibrated) > accuracy(plain)


def test_a_layer_whose_scores_are_all_low_is_not_emptied(trained, material, carry_out):
    """As the classifier of MobileNetV2 and ShuffleNetV2, whose weights are small beside all others."""
    network = trained(width=16)
    with torch.no_grad():
        network.head.weight.mul_(1e-3)
    before = weights_of(network)
    outcome = carry_out(material(network), "prune_unstructured", ratio=0.8)
    rows = {row["name"]: row for row in outcome.report}
    head = rows["head"]
    assert head["weights"] - head["zeros"] == math.ceil(0.1 * 0.2 * head["weights"])
    total = sum(row["weights"] for row in outcome.report)
    assert sum(row["zeros"] for row in outcome.report) == round(0.8 * total)  # others make up for it
    kept = weights_of(outcome.network)["head"] != 0
    assert before["head"][kept].abs().min() >= before["head"][~kept].abs().max()


def test_what_would_leave_nothing_of_a_layer_is_refused(trained, material, carry_out):
    network = trained(width=16)
    with pytest.raises(CompressError, match=r"none of the 9 weights of tiny would stay"):
        network.tiny = nn.Conv2d(1, 1, 3)
        carry_out(material(network), "prune_unstructured", ratio=0.99, scope="layer")
