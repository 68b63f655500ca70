from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from kdcore import models, registry
from kdcore.compress.share import kmeans
from kdcore.export import coded, weights
from kdcore.inputs.images import InMemoryImages, pixels
from kdcore.recipe import Train
from kdcore.train.loop import Task, fit


def layers(network: nn.Module) -> dict[str, torch.Tensor]:
    found = {n: m.weight for n, m in network.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}
    return {name: weight.detach().clone() for name, weight in found.items()}


def error(numbers, values, places):
    return float(((numbers - values[places]) ** 2).sum())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-50, 50), min_size=1, max_size=9), st.integers(1, 4))
def test_clusters_are_near_the_best_of_all_and_stable(numbers, size):
    numbers = torch.tensor(numbers, dtype=torch.float64)
    values, places = kmeans(numbers, size)
    assert len(values) <= size
    assert (values.diff() > 0).all()
    assert (numbers - values[places]).abs().tolist() == pytest.approx(
        (numbers[:, None] - values).abs().min(1).values.tolist(), abs=1e-4
    )
    for place, value in enumerate(values):
        assert float(value) == pytest.approx(float(numbers[places == place].mean()), rel=1e-5, abs=1e-5)


def test_well_apart_groups_are_found_as_brute_force_finds_them():
    numbers = torch.tensor([0.9, -2.0, 1.1, 5.0, -2.2, 1.0, 5.2, -2.1, 4.9])
    values, places = kmeans(numbers, 3)
    ascending = np.sort(numbers.numpy())
    best = min(
        sum(((part - part.mean()) ** 2).sum() for part in np.split(ascending, cuts))
        for cuts in itertools.combinations(range(1, 9), 2)
    )
    assert error(numbers, values, places) == pytest.approx(best, rel=1e-4)
    assert values.tolist() == pytest.approx([-2.1, 1.0, 5.0333], rel=1e-4)


def test_few_distinct_numbers_stay_as_they_are():
    numbers = torch.tensor([0.25, 0.5, 0.25, 2.0])
    values, places = kmeans(numbers, 4)
    assert torch.equal(values[places].float(), numbers)


@pytest.mark.parametrize(
    ("architecture", "options"), [("cnn", {"width": 16}), ("resnet", {"depth": 8}), ("mlp", {"widths": (64,)})]
)
def test_every_layer_has_few_values_and_is_reloaded_and_coded(
    trained, material, carry_out, tmp_path, images, architecture, options
):
    network = trained(architecture, **options)
    before = layers(network)
    outcome = carry_out(material(network, count=200), "share", bits=3)
    for row in outcome.report:
        weight = layers(outcome.network)[row["name"]]
        assert row["distinct"] == len(weight.unique()) <= 8
        error = (weight - before[row["name"]]).norm() / before[row["name"]].norm()
        assert row["weight_error"] == pytest.approx(float(error))
        assert 0 < row["entropy_bits"] <= 3
    chosen = registry.validate("architecture", {"architecture": architecture, **options})
    document = models.describe(chosen, 10, (1, 8, 8), [0.3], [0.4])
    weights.save(tmp_path, outcome.network, document)
    coded.save(tmp_path / coded.NAME, outcome.network, document)
    with torch.no_grad():
        wanted = outcome.network(images[:8])
        assert torch.equal(weights.load(tmp_path)(images[:8]), wanted)
        assert torch.equal(coded.load(tmp_path / coded.NAME)(images[:8]), wanted)


def test_five_bits_cost_next_to_nothing(trained, material, carry_out, accuracy):
    network = trained(width=16)
    before = accuracy(network)
    assert accuracy(carry_out(material(network), "share", bits=5).network) > before - 0.01


def test_zeros_of_a_pruned_network_stay_zeros(trained, material, carry_out):
    pruned = carry_out(material(trained(width=16)), "prune_unstructured", ratio=0.8).network
    before = layers(pruned)
    outcome = carry_out(material(pruned), "share", bits=2)
    after = layers(outcome.network)
    assert all(torch.equal(after[name] == 0, before[name] == 0) for name in before)
    assert all(row["zeros"] == int((before[row["name"]] == 0).sum()) for row in outcome.report)
    assert all(row["distinct"] <= 4 for row in outcome.report)


def test_weights_of_one_value_have_the_sum_of_their_gradients(trained, material, carry_out, images):
    pruned = carry_out(material(trained(width=16)), "prune_unstructured", ratio=0.5).network
    network = carry_out(material(pruned, count=100), "share", bits=2).network
    weight = network.head.weight
    plain = weight.detach().clone().requires_grad_(True)
    features = torch.rand(5, weight.shape[1])
    (network.head(features) ** 2).sum().backward()
    (nn.functional.linear(features, plain, network.head.bias) ** 2).sum().backward()
    for value in weight.unique():
        chosen = weight == value
        assert weight.grad[chosen].unique().numel() == 1
        expected = plain.grad[chosen].sum() if value else torch.tensor(0.0)
        torch.testing.assert_close(weight.grad[chosen][0], expected)


def test_fine_tuning_moves_the_values_alone_and_goes_on_from_a_checkpoint(
    trained, material, carry_out, digits, tmp_path
):
    def tuned(folder, stop=None):
        pruned = carry_out(material(trained(width=8), count=100), "prune_unstructured", ratio=0.5)
        outcome = carry_out(material(pruned.network, count=100), "share", bits=3)
        before = layers(outcome.network)
        count = 64
        shown = pixels(digits.train_images[:count]), torch.tensor(digits.train_labels[:count])
        train = Train(steps=8, batch_size=16, learning_rate=0.003)
        task = Task(
            InMemoryImages(shown[0]), torch.eye(10)[shown[1]], shown, train, 8, "fp32", 0, constrain=outcome.constrain
        )
        folder.mkdir(exist_ok=True)

        def interrupt(row):
            if row["epoch"] == stop:
                raise KeyboardInterrupt

        try:
            fit(outcome.network, task, folder, on_epoch=interrupt)
        except KeyboardInterrupt:
            return tuned(folder)
        return before, layers(outcome.network)

    before, whole = tuned(tmp_path / "whole")
    _, resumed = tuned(tmp_path / "resumed", stop=1)
    for name, weight in whole.items():
        assert torch.equal(weight, resumed[name])
        assert not torch.equal(weight, before[name])
        assert torch.equal(weight == 0, before[name] == 0)
        pairs = {(a, b) for a, b in zip(before[name].flatten().tolist(), weight.flatten().tolist(), strict=True)}
        assert len(pairs) == len({a for a, _ in pairs}) <= 9  # each old value became one new value


def test_tied_layers_have_one_codebook(trained, material, carry_out):
    network = trained("mlp", widths=(32, 32, 32))
    network.stage2.linear.weight = network.stage1.linear.weight
    outcome = carry_out(material(network, count=50), "share", bits=2)
    assert [row["name"] for row in outcome.report] == ["stem.linear", "stage1.linear", "head"]


def test_coding_leaves_the_network_and_its_file_and_counts_every_byte(trained, material, carry_out, images):
    pruned = carry_out(material(trained(width=16)), "prune_unstructured", ratio=0.8).network
    network = carry_out(material(pruned), "share", bits=4).network
    given = material(network, exported=True)
    chosen = registry.validate("architecture", {"architecture": "cnn", "width": 16})
    described = models.describe(chosen, 10, (1, 8, 8), [0.3], [0.4])
    given.onnx.with_name("architecture.json").write_text(json.dumps(described))
    outcome = carry_out(given, "code")
    assert outcome.onnx == given.onnx
    (path,) = outcome.files
    assert path.name == "model.coded"
    with torch.no_grad():
        assert torch.equal(coded.load(path)(images[:8]), network(images[:8]))
    totals = {stage: sum(row[f"{stage}_bytes"] for row in outcome.report) for stage in ("dense", "sparse", "shared")}
    size = Path(path).stat().st_size
    assert sum(row["coded_bytes"] for row in outcome.report) == size
    assert totals["dense"] > totals["sparse"] > totals["shared"] > size
    assert size < 0.2 * totals["dense"]
    raw = [row for row in outcome.report if row["form"] == "raw"]
    assert {row["name"] for row in raw} >= {"stem.norm.running_mean", "head.bias"}


def test_a_network_with_nothing_shared_is_coded_no_smaller(trained, material, carry_out):
    outcome = carry_out(material(trained(width=16), exported=True), "code")
    (path,) = outcome.files
    dense = sum(row["dense_bytes"] for row in outcome.report)
    assert path.stat().st_size == dense
