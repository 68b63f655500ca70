"""Trainings that two processes do together; `python -m tests.train.together RANK FOLDER` is one of the two."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file

from kdcore.train.loop import fit
from kdcore.train.team import ALONE, joined
from tests.train.conftest import small_task, state, stop_after
from tests.train.test_resume import CASES, network, taught

# Batches that cannot be halved. Rounding alone must tell the weights apart, which AdamW, unlike SGD, enlarges.
USUAL = {"optimizer": "sgd", "learning_rate": 0.02, "batch_size": 17}
BEFORE = "early stop that comes", "mean of the weights", "adapters", "memory banks", "peers"
TOGETHER = {
    "labels": (network, None, {"clip_norm": 0.5}),
    "kd": (network, taught("kd"), {}),
    **{name: CASES[name][:3] for name in BEFORE},
}
STOPPED = "kd"  # the one that is stopped after its first epoch too, and resumed


def trained(name, folder, team=ALONE, check=lambda: None):
    """The weights after this training, or its rest, in `folder`."""
    make, lesson, changes = TOGETHER[name]
    task = small_task()
    views = task.train.views.model_copy(update={"mixup": 0.0}) if name.startswith("memory") else task.train.views
    task = replace(task, train=task.train.model_copy(update={"views": views, **USUAL, **changes}), steps=32)
    model = make()
    torch.manual_seed(77)  # what a method draws for its adapters
    fit(model, replace(task, lesson=lesson()) if lesson else task, folder, team=team, check=check)
    return state(model)


def main(rank, folder):
    with joined(rank, 2, folder / "rendezvous", torch.device("cpu")) as team:
        for name in TOGETHER:
            keep(trained(name, place(folder, name), team), folder, name, rank)
        torn = place(folder, "torn")
        try:
            trained(STOPPED, torn, team, stop_after(30))
        except KeyboardInterrupt:
            keep(trained(STOPPED, torn, team), folder, "torn", rank)


def place(folder, name):
    (folder / name).mkdir(exist_ok=True)
    return folder / name


def keep(weights, folder, name, rank):
    save_file({part: value.contiguous() for part, value in weights.items()}, folder / f"{name}.{rank}.safetensors")


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
