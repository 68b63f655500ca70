from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from kdcore import models, registry
from kdcore.compress.step import CompressError
from kdcore.export import coded, runtime, weights

VIT = {"dim": 16, "heads": 2, "depth": 4, "patch": 4}
MLP = {"widths": (48, 48, 48, 48)}


def document(architecture, options):
    chosen = registry.validate("architecture", {"architecture": architecture, **options})
    return models.describe(chosen, 10, (1, 8, 8), [0.3], [0.4])


def test_pairs_have_the_mean_of_their_weights_and_their_own_biases(trained, material, carry_out):
    network = trained("mlp", **MLP)
    first, second = (network.get_submodule(f"stage{i}.linear").weight.detach().clone() for i in (1, 2))
    biases = [network.get_submodule(f"stage{i}.linear").bias.detach().clone() for i in (1, 2)]
    outcome = carry_out(material(network, count=50), "tie")
    network = outcome.network
    assert network.stage1.linear.weight is network.stage2.linear.weight
    assert network.stage3.linear.weight is not network.stage1.linear.weight
    torch.testing.assert_close(network.stage1.linear.weight.detach(), (first + second) / 2)
    for number, bias in zip((1, 2), biases, strict=True):
        assert torch.equal(network.get_submodule(f"stage{number}.linear").bias, bias)
    assert [row["name"] for row in outcome.report] == ["stage1.linear", "stage2.linear"]
    assert [row["saved_bytes"] for row in outcome.report] == [0, 4 * 48 * 48]
    expected = (first - second).norm() / 2 / first.norm()
    assert outcome.report[0]["weight_error"] == pytest.approx(float(expected), rel=1e-4)


@pytest.mark.parametrize(("architecture", "options"), [("mlp", MLP), pytest.param("vit", VIT, marks=pytest.mark.slow)])
@pytest.mark.parametrize("group", ["pairs", "all"])
def test_tied_weights_are_stored_once_everywhere(
    trained, material, carry_out, tmp_path, images, architecture, options, group
):
    given = material(trained(architecture, **options), exported=True)
    begun = carry_out(given, "tie", group=group)
    saved = sum(row["saved_bytes"] for row in begun.report)
    outcome = begun.finish(begun.network)
    before, after = given.onnx.stat().st_size, outcome.onnx.stat().st_size
    assert before - after == pytest.approx(saved, abs=0.03 * before)  # names and nodes go too
    with torch.no_grad():
        wanted = outcome.network(images[:8])
    assert np.allclose(runtime.logits(outcome.onnx, images[:8].numpy()), wanted, atol=1e-4)

    for name in ("whole", "tied"):
        (tmp_path / name).mkdir()
    weights.save(tmp_path / "whole", trained(architecture, **options), document(architecture, options))
    weights.save(tmp_path / "tied", outcome.network, document(architecture, options))
    sizes = [(tmp_path / name / weights.TENSORS).stat().st_size for name in ("whole", "tied")]
    assert sizes[0] - sizes[1] == pytest.approx(saved, abs=2000)
    coded.save(tmp_path / coded.NAME, outcome.network, document(architecture, options))
    for again in (weights.load(tmp_path / "tied"), coded.load(tmp_path / coded.NAME)):
        assert torch.equal(again(images[:8]), wanted)
        assert sum(p.numel() for p in again.parameters()) == sum(p.numel() for p in outcome.network.parameters())


def test_tied_layers_learn_as_one(trained, material, carry_out, images):
    network = carry_out(material(trained("mlp", **MLP), count=50), "tie").network.train()
    optimizer = torch.optim.AdamW(network.parameters(), 0.01)
    before = network.stage2.linear.weight.detach().clone()
    nn.functional.cross_entropy(network(images[:8]), torch.arange(8)).backward()
    optimizer.step()
    assert network.stage1.linear.weight is network.stage2.linear.weight
    assert not torch.equal(before, network.stage2.linear.weight)


def test_the_tied_file_is_quantized(trained, material, carry_out, images):
    given = material(trained("mlp", **MLP), exported=True)
    begun = carry_out(given, "tie")
    path = begun.finish(begun.network).onnx
    quantized = carry_out(given._replace(network=begun.network, onnx=path), "int8").onnx
    assert len(onnx.load(quantized).graph.initializer) > 0
    with torch.no_grad():
        answers = begun.network(images[:300]).argmax(1).numpy()
    assert (runtime.logits(quantized, images[:300].numpy()).argmax(1) == answers).mean() > 0.9


@pytest.mark.parametrize(
    ("architecture", "options", "reason"),
    [
        ("resnet", {"depth": 8}, "no two layers have one shape that no batch norm follows"),
        ("mlp", {"widths": (48, 32)}, "no two layers have one shape, so they cannot"),
    ],
)
def test_networks_without_two_such_layers_are_refused(trained, material, carry_out, architecture, options, reason):
    with pytest.raises(CompressError, match=reason):
        carry_out(material(trained(architecture, **options), count=50), "tie")
