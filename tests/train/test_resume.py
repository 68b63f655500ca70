"""Killed at any step and resumed: the same bits as if never stopped, with all that a checkpoint can hold."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from kdcore import models, registry
from kdcore.distill.objectives.distillation import DistillationObjective
from kdcore.distill.objectives.together import Jointly, Mutually
from kdcore.train.loop import fit
from tests.train.conftest import method, network, same, state, stop_after

SHAPE = (1, 8, 8)


def zoo(width, seed):
    torch.manual_seed(seed)
    options = registry.validate("architecture", {"architecture": "cnn", "width": width})
    return models.create(options, 3, SHAPE, [0.3], [0.4])


def droops(seed=0):
    made = network(seed)
    made.insert(5, nn.Dropout(0.5))
    return made


def taught(name):
    return lambda: DistillationObjective(method(name), zoo(5, seed=9).eval().requires_grad_(False))


CASES = {
    "plain adamw": (network, None, {}, "fp32"),
    "plain sgd": (network, None, {"optimizer": "sgd"}, "fp32"),
    "bf16": (network, None, {}, "bf16"),
    "fp16, clipped": (network, None, {"clip_norm": 0.5}, "fp16"),
    "mean of the weights": (network, None, {"ema": 0.8}, "fp32"),
    "early stop that comes": (network, None, {"ema": 0.9, "patience": 1, "learning_rate": 1e-6}, "fp32"),
    "early stop that does not": (network, None, {"patience": 3}, "fp32"),
    "dropout": (droops, None, {}, "fp32"),
    "adapters": (lambda: zoo(4, 0), taught("fitnets"), {"ema": 0.8, "patience": 3, "optimizer": "sgd"}, "fp32"),
    "memory banks": (lambda: zoo(4, 0), taught("crd"), {"ema": 0.8}, "fp32"),
    "memory banks, bf16": (lambda: zoo(4, 0), taught("crd"), {}, "bf16"),
    "peers": (network, lambda: Mutually(method(), [network(5), network(6, 4)]), {"ema": 0.8, "patience": 3}, "fp32"),
    "a teacher beside": (network, lambda: Jointly(method(), [network(5, 9)]), {"optimizer": "sgd"}, "fp32"),
}
QUICK = ("plain adamw", "fp16, clipped", "early stop that comes", "adapters", "memory banks")


@pytest.mark.parametrize(
    ("case", "after"),
    [
        ("plain adamw", 1),
        ("plain adamw", 60),
        *(pytest.param(case, 40, marks=[] if case in QUICK else [pytest.mark.slow]) for case in CASES),
    ],
)
def test_stopped_anywhere_and_resumed_it_ends_with_the_same_bits_and_no_epoch_twice(task, tmp_path, case, after):
    make, lesson, changes, precision = CASES[case]
    views = task.train.views.model_copy(update={"mixup": 0.0}) if case.startswith("memory") else task.train.views
    task = replace(task, train=task.train.model_copy(update={"views": views, **changes}), precision=precision)

    def part(name, check=lambda: None):
        (tmp_path / name).mkdir(exist_ok=True)
        model = make()
        torch.manual_seed(77)  # what a method draws for its adapters
        fit(model, replace(task, lesson=lesson()) if lesson else task, tmp_path / name, check=check)
        return state(model), (tmp_path / name / "history.jsonl").read_text().splitlines()

    whole, rows = part("whole")
    with pytest.raises(KeyboardInterrupt):
        part("torn", stop_after(after))
    with (tmp_path / "torn" / "history.jsonl").open("a") as file:
        file.write('{"epoch": 99, "torn')
    torn, again = part("torn")
    assert same(whole, torn)
    assert [untimed(row) for row in again] == [untimed(row) for row in rows]


def untimed(row):
    return {name: value for name, value in json.loads(row).items() if name != "images_per_s"}


def test_what_a_resumed_run_starts_from_does_not_matter_once_there_is_a_checkpoint(task, tmp_path):
    (tmp_path / "whole").mkdir()
    whole, other = network(), network(seed=8)
    fit(whole, task, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        fit(network(), task, tmp_path, check=stop_after(40))
    fit(other, task, tmp_path)
    assert same(state(whole), state(other))


def test_fp16_remembers_how_long_its_scale_has_held(task, tmp_path):
    half = replace(task, precision="fp16")
    progress = fit(network(), half, tmp_path)
    assert progress.scaler["_growth_tracker"] == 90
    assert fit(network(), half, tmp_path) == progress  # finished: read back from the checkpoint
