from __future__ import annotations

import copy
import itertools

import pytest
import torch
from torch import nn

from kdcore.compress.step import CompressError
from kdcore.compress.tools import factors, quant_grid
from kdcore.compress.tools.recalibrate import recalibrate
from kdcore.compress.tools.sensitivity import EvalSet, check, measure, policy, step
from kdcore.data.labelling import ONE_LABEL


@pytest.fixture(scope="module")
def exam(images, targets):
    return EvalSet(images[1000:], targets[1000:], ONE_LABEL, images[:300])


def judged(network, exam):
    with torch.no_grad():
        logits = network(exam.images)
    right = (logits.argmax(1) == exam.targets.argmax(1)).float().mean()
    return float(right), float(nn.functional.cross_entropy(logits, exam.targets))


def test_each_layer_is_pruned_alone(trained, exam):
    network = trained(width=8)
    before = copy.deepcopy(network.state_dict())
    heard = []
    found = measure(network, exam, "prune", [0.9, 0.5], lambda *told: heard.append(told))
    assert [(row["layer"], row["strength"]) for row in found["rows"]] == [
        (name, strength) for name in ("stem.conv", "stage1.conv", "stage2.conv", "head") for strength in (0.5, 0.9)
    ]
    assert heard[0] == ("stem.conv", 1, 4)
    assert (found["kind"], found["images"]) == ("prune", len(exam.images))
    assert tuple(found["untouched"].values()) == pytest.approx(judged(network, exam))
    fresh = copy.deepcopy(network)
    recalibrate(fresh, exam.calibration, 0)
    assert tuple(found["baseline"].values()) == pytest.approx(judged(fresh, exam))

    alone = copy.deepcopy(network)
    with torch.no_grad():
        size = alone.stage2.conv.weight.abs()
        alone.stage2.conv.weight[size <= size.flatten().kthvalue(round(0.9 * size.numel())).values] = 0
    recalibrate(alone, exam.calibration, 0)
    row = next(row for row in found["rows"] if (row["layer"], row["strength"]) == ("stage2.conv", 0.9))
    assert (row["accuracy"], row["loss"]) == pytest.approx(judged(alone, exam))
    assert row["weights"] == network.stage2.conv.weight.numel()
    after = network.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_each_layer_is_rounded_alone(trained, exam):
    network = trained(width=8)
    found = measure(network, exam, "quantize", [2, 8])
    assert [row["strength"] for row in found["rows"][:2]] == [8, 2]
    alone = copy.deepcopy(network)
    with torch.no_grad():
        scale = quant_grid.scales(alone.head.weight, 2, clip="mse")
        alone.head.weight.copy_(quant_grid.codes(alone.head.weight, scale, 2) * scale)
    recalibrate(alone, exam.calibration, 0)
    assert found["rows"][-1]["layer"] == "head"
    assert (found["rows"][-1]["accuracy"], found["rows"][-1]["loss"]) == pytest.approx(judged(alone, exam))


def test_silent_filters_say_what_removed_ones_would(trained, exam):
    network = trained(width=8)
    found = measure(network, exam, "filters", [0.5])
    assert [row["layer"] for row in found["rows"]] == ["stem.conv", "stage1.conv", "stage2.conv"]
    removed = copy.deepcopy(network)
    size = removed.stage1.conv.weight.flatten(1).norm(dim=1)
    left = size.argsort(descending=True)[: len(size) // 2].sort().values
    conv, norm = (
        nn.Conv2d(len(network.stem.conv.weight), len(left), 3, padding=1, bias=False),
        nn.BatchNorm2d(len(left)),
    )
    with torch.no_grad():
        conv.weight.copy_(removed.stage1.conv.weight[left])
        norm.weight.copy_(removed.stage1.norm.weight[left])
        norm.bias.copy_(removed.stage1.norm.bias[left])
        inner = removed.stage2.conv.weight[:, left].clone()
    assert removed.stage1.conv.bias is None
    removed.stage1.conv, removed.stage1.norm = conv, norm
    removed.stage2.conv.weight = nn.Parameter(inner)
    removed.stage2.conv.in_channels = len(left)
    recalibrate(removed.eval(), exam.calibration, 0)
    assert (found["rows"][1]["accuracy"], found["rows"][1]["loss"]) == pytest.approx(judged(removed, exam), abs=1e-3)


def test_a_lower_rank_says_what_the_split_layer_would(trained, exam, material, carry_out):
    network = trained(width=16)
    found = measure(network, exam, "rank", [0.25, 0.4])
    assert [(row["layer"], row["strength"]) for row in found["rows"][:3]] == [
        ("stem.conv", 0.4), ("stem.conv", 0.25), ("stage1.conv", 0.4),
    ]  # fmt: skip
    assert "head" not in {row["layer"] for row in found["rows"]}
    mixed = policy(found, 0.75)
    made = step(found, mixed)
    assert made == {"step": "low_rank", "policy": mixed["policy"]}
    row = next(row for row in found["rows"] if (row["layer"], row["strength"]) == ("stage1.conv", 0.25))
    split = carry_out(material(trained(width=16), count=100), "low_rank", policy={"stage1.conv": 0.25})
    parts = split.network.stage1.conv
    assert row["left"] == sum(part.weight.numel() for part in parts)
    alone = copy.deepcopy(network)
    with torch.no_grad():
        alone.stage1.conv.weight.copy_(factors.product([part.weight for part in parts], "spatial"))
    recalibrate(alone, exam.calibration, 0)
    assert (row["accuracy"], row["loss"]) == pytest.approx(judged(alone, exam), abs=2e-3)


@pytest.mark.parametrize(
    ("kind", "strengths"), [("prune", [1.0]), ("filters", []), ("rank", [1.5]), ("quantize", [0.5]), ("quantize", [9])]
)
def test_strengths_that_mean_nothing_are_refused(kind, strengths):
    with pytest.raises(CompressError, match=f"strengths of {kind} are"):
        check(kind, strengths)


def document(kind, losses, weights):
    rows = [
        {"layer": layer, "weights": weights[layer], "filters": 2, "strength": strength, "loss": 1 + loss}
        for layer, of_layer in losses.items()
        for strength, loss in of_layer.items()
    ]
    return {"kind": kind, "images": 10, "baseline": {"accuracy": 0.9, "loss": 1.0}, "rows": rows}


@pytest.mark.parametrize("budget", [0.9, 0.8, 0.6, 0.45, 0.3, 0.15])
def test_the_policy_is_the_best_of_all_mixes(budget):
    losses = {"a": {0.5: 0.0, 0.9: 0.1}, "b": {0.5: 0.2, 0.9: 3.0}, "c": {0.5: 0.01, 0.9: 0.02}}
    weights = {"a": 100, "b": 1000, "c": 200}
    found = policy(document("prune", losses, weights), budget)

    def size(mix):
        return sum(weights[name] * (1 - strength) for name, strength in zip("abc", mix, strict=True)) / 1300

    mixes = itertools.product(*[{0: 0.0, **losses[name]} for name in "abc"])
    fitting = [mix for mix in mixes if size(mix) <= budget]
    least = min(
        sum(losses[name].get(strength, 0) for name, strength in zip("abc", mix, strict=True)) for mix in fitting
    )
    assert found["loss"] == pytest.approx(least)
    assert found["share"] == pytest.approx(size([found["policy"].get(name, 0) for name in "abc"]))
    assert found["share"] <= budget


def test_the_policy_of_bits_counts_codes_and_scales():
    losses = {"a": {8: 0.0, 4: 0.0, 2: 0.5}, "b": {8: 0.0, 4: 1.0, 2: 2.0}}
    found = policy(document("quantize", losses, {"a": 1000, "b": 1000}), 0.25)
    assert found["policy"] == {"a": 4, "b": 8}
    assert found["share"] == pytest.approx((1000 * 4 / 8 + 8 + 1000 + 8) / 8000)
    assert policy(document("quantize", losses, {"a": 1000, "b": 1000}), 1.0)["policy"] == {}


def test_a_change_that_happens_to_help_counts_as_free_and_a_stronger_one_never_as_cheaper():
    losses = {"a": {0.5: 0.3, 0.9: 0.1}, "b": {0.5: -0.2, 0.9: 0.25}}
    found = policy(document("prune", losses, {"a": 100, "b": 100}), 0.6)
    assert (found["policy"], found["loss"]) == ({"b": 0.9}, pytest.approx(0.25))
    found = policy(document("prune", losses, {"a": 100, "b": 100}), 0.31)
    assert (found["policy"], found["loss"]) == ({"a": 0.9, "b": 0.5}, pytest.approx(0.3))


def test_a_budget_out_of_reach_is_refused_with_what_is_reached():
    with pytest.raises(CompressError, match=r"50.0 % of the"):
        policy(document("prune", {"a": {0.5: 0.1}}, {"a": 100}), 0.2)


@pytest.mark.parametrize(("strengths", "budget", "name"), [([8, 2], 0.17, "qat"), ([4, 1], 0.1, "weight_quant")])
def test_a_policy_of_bits_is_carried_out_by_a_step(trained, exam, material, carry_out, strengths, budget, name):
    measured = measure(trained(width=8), exam, "quantize", strengths)
    mixed = policy(measured, budget)
    made = step(measured, mixed)
    assert made == {"step": name, "policy": mixed["policy"]}
    assert len(set(mixed["policy"].values())) > 1
    outcome = carry_out(material(trained(width=8), exported=True), name, policy=mixed["policy"])
    done = outcome.finish(outcome.network.eval()) if outcome.finish else outcome
    rounded = {row["name"]: row["bits"] for row in done.report}
    assert rounded.items() <= mixed["policy"].items()
    assert set(mixed["policy"]) - set(rounded) <= {"stem.conv"}  # one channel: it stays float where all is int8
    assert step(measured, {"policy": {}}) is None
