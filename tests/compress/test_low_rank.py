from __future__ import annotations

import copy
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from kdcore import models, registry
from kdcore.compress import low_rank
from kdcore.compress.step import CompressError
from kdcore.compress.tools import factors
from kdcore.export import runtime, weights
from kdcore.export.onnx_file import export
from kdcore.models.nets import factored
from kdcore.paths import home
from tests import patience

KINDS = ["spatial", "channel", "tucker"]


def convolution(**options) -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(6, 10, (3, 5), **{"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2), **options})


def split(module: nn.Module, kind: str, ranks: list[int]) -> nn.Sequential:
    parts = factored.split(module, kind, ranks)
    for part, weight in zip(parts, factors.factors(module.weight.detach(), kind, ranks), strict=True):
        part.weight.data.copy_(weight)
    if module.bias is not None:
        parts[-1].bias.data.copy_(module.bias.detach())
    return parts


@pytest.mark.parametrize(("kind", "ranks"), [("spatial", [18]), ("channel", [10]), ("tucker", [6, 10])])
@pytest.mark.parametrize("bias", [True, False])
def test_at_full_rank_a_convolution_stays_what_it_was(kind, ranks, bias):
    module, images = convolution(bias=bias), torch.rand(2, 6, 11, 13)
    parts = split(module, kind, ranks)
    torch.testing.assert_close(parts(images), module(images), rtol=1e-4, atol=1e-5)
    assert [part.bias is not None for part in parts] == [False] * (len(parts) - 1) + [bias]


def test_at_full_rank_a_linear_layer_stays_what_it_was():
    module, values = nn.Linear(7, 4), torch.rand(3, 5, 7)
    torch.testing.assert_close(split(module, "channel", [4])(values), module(values))


@pytest.mark.parametrize(("kind", "shape"), [("channel", (10, 90)), ("spatial", (18, 50))])
def test_the_error_is_that_of_the_singular_values_left_out(kind, shape):
    weight = convolution().weight.detach()
    if kind == "channel":
        matrix = weight.numpy().reshape(shape)
    else:  # input channel and row of the kernel, against filter and column
        matrix = np.zeros(shape)
        for o, i, h, w in np.ndindex(*weight.shape):
            matrix[i * 3 + h, o * 5 + w] = weight[o, i, h, w]
    values = np.linalg.svd(matrix, compute_uv=False)
    made = factors.product(factors.factors(weight, kind, [4]), kind)
    assert float((made - weight).norm()) == pytest.approx(np.sqrt((values[4:] ** 2).sum()), rel=1e-5)
    assert np.allclose(factors.spectra(weight, kind)[0], values, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_product_is_what_the_layers_do(kind):
    module, images = convolution(bias=False), torch.rand(2, 6, 11, 13)
    ranks = [3, 4] if kind == "tucker" else [4]
    parts = split(module, kind, ranks)
    module.weight.data.copy_(factors.product(factors.factors(module.weight.detach(), kind, ranks), kind))
    torch.testing.assert_close(parts(images), module(images), rtol=1e-4, atol=1e-5)
    assert factors.weights(module.weight.shape, kind, ranks) == sum(part.weight.numel() for part in parts)


def test_tuckers_bases_are_the_leading_directions_of_each_mode():
    weight = convolution().weight.detach().numpy()
    squeeze, _, expand = factors.factors(torch.from_numpy(weight), "tucker", [2, 3])
    outer = np.linalg.svd(weight.reshape(10, -1))[0][:, :3]
    inner = np.linalg.svd(weight.transpose(1, 0, 2, 3).reshape(6, -1))[0][:, :2]
    assert np.allclose(np.abs(outer.T @ expand[..., 0, 0].numpy()), np.eye(3), atol=1e-5)
    assert np.allclose(np.abs(squeeze[..., 0, 0].numpy() @ inner), np.eye(2), atol=1e-5)


def test_energy_is_the_share_of_squared_singular_values():
    spectrum = torch.tensor([4.0, 2.0, 2.0, 1.0])  # squares 16, 4, 4, 1 of 25
    found = [low_rank.for_energy(spectrum, share) for share in (0.1, 0.63, 0.65, 0.8, 0.9, 0.97, 1.0)]
    assert found == [1, 1, 2, 2, 3, 4, 4]


def test_a_policy_gives_each_layer_its_share_and_leaves_the_others_whole(trained, material, carry_out):
    policy = {"stage1.conv": 0.25, "stage2.conv": 0.125}
    outcome = carry_out(material(trained(width=16), count=100), "low_rank", policy=policy, by="energy")
    rows = {row["name"]: row for row in outcome.report}
    assert {name: row["ranks"] for name, row in rows.items()} == {
        "stem.conv": [], "stage1.conv": [12], "stage2.conv": [round(rows["stage2.conv"]["full_ranks"][0] / 8)],
    }  # fmt: skip
    with pytest.raises(CompressError, match="policy names stage9, which is not a layer"):
        carry_out(material(trained(width=16), count=100), "low_rank", policy={"stage9": 0.5})


def test_ratio_takes_the_share_of_every_layers_full_rank(trained, material, carry_out):
    outcome = carry_out(material(trained(width=16), count=100), "low_rank", share=0.25)
    rows = {row["name"]: row for row in outcome.report}
    assert set(rows) == {"stem.conv", "stage1.conv", "stage2.conv"}  # the classifier stays whole
    assert rows["stage1.conv"]["full_ranks"] == [48]
    assert rows["stage1.conv"]["ranks"] == [12]
    assert rows["stage1.conv"]["weights"] == 12 * (16 * 3 + 16 * 3)
    assert 0 < rows["stage1.conv"]["error"] < 1
    assert isinstance(models.head(outcome.network), nn.Linear)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.3, 0.6])
def test_a_size_is_kept_and_nearly_used_up(trained, material, carry_out, kind, share):
    network = trained(width=16)
    before = sum(m.weight.numel() for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear))
    outcome = carry_out(material(network, count=100), "low_rank", by="size", share=share, convolutions=kind)
    after = sum(m.weight.numel() for m in outcome.network.modules() if isinstance(m, nn.Conv2d | nn.Linear))
    assert 0.93 * share * before < after <= share * before


def test_a_size_out_of_reach_is_refused_with_what_can_be_reached(trained, material, carry_out):
    with pytest.raises(CompressError, match=r"cannot be 1 % of its size: .* at rank 1 it still has \d+ %"):
        carry_out(material(trained(width=16), count=50), "low_rank", by="size", share=0.01)


def test_a_layer_that_would_not_be_smaller_stays_whole(trained, material, carry_out):
    outcome = carry_out(material(trained(width=16), count=50), "low_rank", by="energy", share=0.9)
    rows = [row for row in outcome.report if row["kind"] == "whole"]
    assert all(row["weights"] == row["weights_before"] and row["error"] == 0 for row in rows)
    assert isinstance(outcome.network.get_submodule("stem.conv"), nn.Conv2d) == any(
        row["name"] == "stem.conv" for row in rows
    )
    with pytest.raises(CompressError, match="no layer would have fewer weights"):
        carry_out(material(trained(width=16), count=50), "low_rank", share=0.99)


def test_recalibration_helps(trained, material, carry_out, accuracy, monkeypatch):
    options = {"share": 0.3}
    recalibrated = carry_out(material(trained(width=16)), "low_rank", **options).network
    monkeypatch.setattr(low_rank, "recalibrate", lambda *_: None)
    plain = carry_out(material(trained(width=16)), "low_rank", **options).network
    assert accuracy(recalibrated) > accuracy(plain)


NETWORKS = [
    pytest.param("cnn", {"width": 16}, marks=pytest.mark.slow),
    ("resnet", {"depth": 8}),
    ("mlp", {"widths": (64, 64)}),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("architecture", "options"), NETWORKS)
def test_split_networks_are_rebuilt_bit_for_bit_and_exported(
    trained, material, carry_out, tmp_path, images, kind, architecture, options
):
    network = trained(architecture, **options)
    outcome = carry_out(material(network, count=100), "low_rank", convolutions=kind, share=0.3)
    document = describe(architecture, options)
    weights.save(tmp_path, outcome.network, document)
    again = weights.load(tmp_path)
    assert torch.equal(again(images[:8]), outcome.network(images[:8]))
    assert [type(m) for m in again.modules()] == [type(m) for m in outcome.network.modules()]
    path = tmp_path / "split.onnx"
    export(outcome.network, (1, 8, 8), path, images=images[:8].numpy(), cache=home() / "cache" / "onnx")
    with torch.no_grad():
        assert np.allclose(runtime.logits(path, images[:8].numpy()), outcome.network(images[:8]), atol=1e-3)


def describe(architecture, options):
    chosen = registry.validate("architecture", {"architecture": architecture, **options})
    return models.describe(chosen, 10, (1, 8, 8), [0.3], [0.4])


def test_a_split_network_is_the_same_in_a_fresh_process(trained, material, carry_out, tmp_path, images):
    network = carry_out(material(trained(width=16), count=100), "low_rank", convolutions="tucker").network
    weights.save(tmp_path, network, describe("cnn", {"width": 16}))
    with torch.no_grad():
        np.savez(tmp_path / "seen.npz", images=images[:4].numpy(), logits=network(images[:4]).numpy())
    code = (
        "import sys, numpy as np, torch; from pathlib import Path; from kdcore.export import weights;"
        "torch.set_num_threads(1); folder = Path(sys.argv[1]); seen = np.load(folder / 'seen.npz');"
        "assert np.array_equal(weights.load(folder)(torch.from_numpy(seen['images'])).detach(), seen['logits'])"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, timeout=patience.SECONDS)


def test_later_steps_take_a_split_network(trained, material, carry_out, tmp_path, images):
    network = carry_out(material(trained(width=32), count=200), "low_rank", share=0.5).network
    weights.save(tmp_path, network, describe("cnn", {"width": 32}))
    for step in ("prune_structured", "prune_unstructured", "low_rank"):
        given = material(weights.load(tmp_path), count=200)
        outcome = carry_out(given, step, **({"share": 0.3, "convolutions": "channel"} if step == "low_rank" else {}))
        (tmp_path / step).mkdir()
        weights.save(tmp_path / step, outcome.network, describe("cnn", {"width": 32}))
        assert torch.equal(weights.load(tmp_path / step)(images[:4]), outcome.network(images[:4]))
    quantized = carry_out(material(network, exported=True, count=200), "int8").onnx
    with torch.no_grad():
        answers = network(images[:200]).argmax(1).numpy()
    assert (runtime.logits(quantized, images[:200].numpy()).argmax(1) == answers).mean() > 0.9


class Peeking(nn.Module):
    """Its code reads a layer's weights."""

    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(64, 64)
        self.head = nn.Linear(64, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(images.flatten(1) @ self.hidden.weight)


def test_a_network_that_reads_its_weights_is_refused(material, carry_out):
    with pytest.raises(CompressError, match="this Peeking cannot be split: "):
        carry_out(material(Peeking()), "low_rank", share=0.3)


def test_other_tensors_are_still_told_to_have_no_place(trained):
    network = trained(width=16)
    tensors = dict(network.state_dict())
    tensors["stem.conv.basis.weight"] = tensors.pop("stem.conv.weight")
    with pytest.raises(ValueError, match=r"'stem\.conv\.weight' is missing"):
        models.rebuild(describe("cnn", {"width": 16}), tensors)


def test_the_step_is_deterministic(trained, material, carry_out):
    first, second = (
        carry_out(material(trained(width=16), count=100), "low_rank").network.state_dict() for _ in range(2)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_fine_tuning_and_copies_work(trained, material, carry_out, images):
    network = carry_out(material(trained(width=16), count=50), "low_rank").network.train()
    copy.deepcopy(network)
    nn.functional.cross_entropy(network(images[:8]), torch.arange(8)).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
