"""A checkpoint that was damaged is dropped, and one that was torn by a kill at any rename is not mistaken for whole."""

from __future__ import annotations

import json
import logging
import os

import pytest
import torch

from kdcore.train.loop import fit
from tests.damage.corpus import JSON_DAMAGES, MODEL_DAMAGES
from tests.train.conftest import network, same, state, stop_after


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Trains undisturbed, once: the weights, and each epoch's validation loss."""
    known = {}

    def train(task):
        if not known:
            folder = tmp_path_factory.mktemp("whole")
            known["state"] = trained(task, folder)
            known["history"] = epochs(folder)
        return known["state"], known["history"]

    return train


def trained(task, folder, check=lambda: None, **hears):
    model = network()
    torch.manual_seed(77)
    fit(model, task, folder, check=check, **hears)
    return state(model)


def epochs(folder):
    rows = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    return [(row["epoch"], row["val_loss"]) for row in rows]


def place(folder, name):
    return next(folder.glob(name)) if "*" in name else folder / name


DAMAGES = {
    "checkpoint/state-*.safetensors": MODEL_DAMAGES,
    "checkpoint/progress.json": MODEL_DAMAGES | JSON_DAMAGES,
    "history.jsonl": MODEL_DAMAGES,
    "checkpoint": {name: MODEL_DAMAGES[name] for name in ("gone", "a folder")},
}


def cases():
    """Quick: each kind of damage to one file, and every third of those to JSON."""
    for name, damages in DAMAGES.items():
        for damage in damages:
            of_json = damage not in MODEL_DAMAGES
            repeats = list(JSON_DAMAGES).index(damage) % 3 if of_json else name != next(iter(DAMAGES))
            yield pytest.param(name, damage, marks=[pytest.mark.slow] if repeats else [])


@pytest.mark.parametrize(("name", "damage"), cases())
def test_whatever_befell_it_the_weights_are_those_of_an_undisturbed_training(
    task, tmp_path, whole, caplog, name, damage
):
    with pytest.raises(KeyboardInterrupt):
        trained(task, tmp_path, stop_after(40))
    DAMAGES[name][damage](place(tmp_path, name))
    with caplog.at_level(logging.WARNING):
        weights = trained(task, tmp_path)
    reference, history = whole(task)
    assert same(weights, reference)
    assert epochs(tmp_path) == history
    assert ("starts from the beginning" in caplog.text) == ((name, damage) != ("checkpoint", "gone"))


def test_a_checkpoint_of_an_earlier_version_is_gone_on_from(task, tmp_path, whole, caplog):
    with pytest.raises(KeyboardInterrupt):
        trained(task, tmp_path, stop_after(40))
    folder = tmp_path / "checkpoint"
    place(folder, "state-*").rename(folder / "state.safetensors")
    document = json.loads((folder / "progress.json").read_text())
    known = {name: value for name, value in document.items() if "sha256" not in name and name != "state"}
    (folder / "progress.json").write_text(json.dumps(known))
    steps = []
    weights = trained(task, tmp_path, lambda: steps.append(1))
    assert same(weights, whole(task)[0])
    assert len(steps) < task.steps
    assert "starts from the beginning" not in caplog.text


def test_a_kill_before_and_after_every_rename_loses_nothing_and_tells_no_epoch_twice(
    task, tmp_path, whole, monkeypatch
):
    reference, history = whole(task)
    rename = os.replace
    killed = 0
    while True:
        killed += 1
        folder = tmp_path / str(killed)
        folder.mkdir()
        left = iter(range(killed))

        def replace(source, target, left=left):
            now = next(left, None)
            if now is None:
                raise KeyboardInterrupt
            rename(source, target)

        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", replace)
            try:
                trained(task, folder)
                break
            except KeyboardInterrupt:
                pass
        told = []
        assert same(trained(task, folder, on_epoch=told.append), reference), killed
        assert epochs(folder) == history
        assert [row["epoch"] for row in told] == [epoch for epoch, _ in history]
        assert len(list((folder / "checkpoint").iterdir())) == 2, "something was left behind"
    assert killed > 2 * len(history) - 2
