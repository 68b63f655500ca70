"""Zeros and few bits in one training."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from kdcore.compress.step import CompressError
from kdcore.export import runtime
from kdcore.export.graph import weighted
from kdcore.inputs.images import InMemoryImages
from kdcore.problems import RecipeError
from kdcore.recipe import Train, parse
from kdcore.train.loop import Task, fit

STEPS = 24
OPTIONS = {"ratio": 0.6, "weight_bits": 3, "end": 0.8, "finetune": {"steps": STEPS, "learning_rate": 0.005}}


class Stopped(Exception):
    pass


@pytest.fixture
def task(digits):
    images = torch.from_numpy(digits.train_images[:512]).permute(0, 3, 1, 2).contiguous()
    labels = torch.from_numpy(np.array(digits.train_labels[:512]))

    def made(constrain, rate=0.005, **ending):
        train = Train(steps=STEPS, batch_size=64, learning_rate=rate, **ending)
        return Task(
            InMemoryImages(images),
            torch.eye(10)[labels],
            (images, labels),
            train,
            STEPS,
            "fp32",
            0,
            constrain=constrain,
        )

    return made


def sparsity(network: nn.Module) -> float:
    layers = [module.weight for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    return sum(int((weight == 0).sum()) for weight in layers) / sum(weight.numel() for weight in layers)


def test_what_is_pruned_is_zero_in_a_file_of_few_bits_that_still_knows_its_digits(
    trained, material, carry_out, task, digits, tmp_path
):
    outcome = carry_out(material(trained(width=16), exported=True), "joint", **OPTIONS)
    assert sparsity(outcome.network) == 0
    fit(outcome.network, task(outcome.constrain), tmp_path)
    pruned = {
        name: layer.weight == 0 for name, layer in outcome.network.named_modules() if hasattr(layer, "kept")
    }  # as the training left them, before anything is rounded
    outcome = outcome.finish(outcome.network)
    in_file = {layer.name: layer.weight for layer in weighted(onnx.load(outcome.onnx))}
    zeros, weights = 0, 0
    for name, mask in pruned.items():
        assert not in_file[name][mask.numpy()].any()
        zeros, weights = zeros + int(mask.sum()), weights + mask.numel()
    assert zeros / weights == pytest.approx(0.6, abs=0.005)
    for name in ("stage1.conv", "stage2.conv"):
        assert max(len(np.unique(one)) for one in in_file[name]) <= 8
    told = {row["name"]: row for row in outcome.report}
    assert set(told) == set(pruned)
    assert told["stage1.conv"]["bits"] == 3
    assert all(row["zeros"] == int((in_file[name] == 0).sum()) for name, row in told.items())
    names = set(trained(width=16).state_dict())
    assert set(outcome.network.state_dict()) == names  # nothing of the training is left
    images = runtime.pixels(digits.test_images)
    given = runtime.logits(outcome.onnx, images).argmax(1)
    assert (given == digits.test_labels).mean() > 0.85


@pytest.mark.parametrize("ending", [{}, {"ema": 0.9}])
def test_training_that_was_stopped_goes_on_where_it_was(trained, material, carry_out, task, tmp_path, ending):
    def prepared(name):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        torch.manual_seed(0)
        return carry_out(material(trained(width=8), exported=True), "joint", **OPTIONS), folder

    whole, folder = prepared("whole")
    fit(whole.network, task(whole.constrain, **ending), folder)
    stopped, folder = prepared("parts")
    calls = iter(range(100))

    def check() -> None:
        if next(calls) == 13:
            raise Stopped

    with pytest.raises(Stopped):
        fit(stopped.network, task(stopped.constrain, **ending), folder, check=check)
    again, folder = prepared("parts")
    fit(again.network, task(again.constrain, **ending), folder)
    expected = whole.network.state_dict()
    assert {"pruning_step", "stage1.conv.kept", "stage1.conv.weights.growth"} <= expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in again.network.state_dict().items())
    files = [outcome.finish(outcome.network) for outcome in (whole, again)]
    assert all(sparsity(done.network) >= 0.6 for done in files)
    assert files[0].report == files[1].report


def test_a_training_that_diverged_is_refused_with_its_remedies(trained, material, carry_out, task, tmp_path):
    options = OPTIONS | {"finetune": {"steps": STEPS, "learning_rate": 3.0}}
    outcome = carry_out(material(trained(width=8), exported=True), "joint", **options)
    fit(outcome.network, task(outcome.constrain, rate=3.0), tmp_path)
    with pytest.raises(CompressError, match=r"lower finetune.learning_rate \(now 3\) or ratio \(now 0.6\)"):
        outcome.finish(outcome.network.eval())


@pytest.mark.parametrize(
    ("options", "reason"),
    [({"finetune": {"steps": 0}}, "set finetune.steps"), ({"begin": 0.5, "end": 0.5}, "set end above begin")],
)
def test_options_that_do_not_go_together_are_refused(options, reason):
    with pytest.raises(RecipeError, match=reason):
        parse({"compress": [{"step": "joint", **options}]})
