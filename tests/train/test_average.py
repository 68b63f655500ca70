"""The running mean of the weights, and the early end of a training: what is judged and what is deployed."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from kdcore.train import loop
from kdcore.train.loop import fit, validate
from kdcore.train.objective import Objective
from tests.train.conftest import network, same, state, stop_after


class Watches(Objective):
    """Remembers the weights that each step starts from."""

    def __init__(self):
        self.states = []

    def loss(self, network, batch):
        self.states.append(state(network))
        return super().loss(network, batch)


def test_the_mean_of_the_weights_is_the_one_kept_by_hand_and_it_is_deployed(task, tmp_path):
    watched = Watches()
    task = replace(task, train=task.train.model_copy(update={"ema": 0.9}), steps=30, lesson=watched)
    (tmp_path / "plain").mkdir()
    plain, averaged = network(), network()
    fit(plain, replace(task, train=task.train.model_copy(update={"ema": 0.0}), lesson=Objective()), tmp_path / "plain")
    fit(averaged, task, tmp_path)
    after_each = [*watched.states[1:], state(plain)]
    mean = after_each[0]
    for weights in after_each[1:]:
        mean = {name: 0.9 * mean[name] + 0.1 * value for name, value in weights.items()}
    learnt = {name for name, _ in averaged.named_parameters()}
    for name, value in averaged.state_dict().items():
        torch.testing.assert_close(value, mean[name] if name in learnt else plain.state_dict()[name])
    assert not same(state(plain), state(averaged))


def test_the_mean_is_what_is_validated(task, tmp_path):
    rows = []
    task = replace(task, train=task.train.model_copy(update={"ema": 0.97}))
    model = network()
    fit(model, task, tmp_path, on_epoch=rows.append)
    found = validate(model, task.validation, task.images.kind, "fp32")
    assert found == {"val_loss": rows[-1]["val_loss"], "val_accuracy": rows[-1]["val_accuracy"]}


@pytest.fixture
def judged(monkeypatch):
    """Validation accuracies as given, one an epoch; whoever is validated is remembered."""
    seen = []

    def script(*accuracies):
        left = iter(accuracies)

        def validate(network, *rest):
            seen.append(state(network))
            return {"val_loss": 1.0, "val_accuracy": next(left)}

        monkeypatch.setattr(loop, "validate", validate)
        return seen

    return script


@pytest.mark.parametrize(("killed", "ema"), [(None, 0.0), (None, 0.5), (70, 0.5), (100, 0.0)])
def test_an_early_end_deploys_the_weights_of_the_best_epoch(task, tmp_path, judged, killed, ema):
    train = task.train.model_copy(update={"patience": 2, "ema": ema})
    task = replace(task, train=train, steps=10 * 27)
    seen = judged(0.5, 0.8, 0.8, 0.7, 0.9)
    if killed:
        with pytest.raises(KeyboardInterrupt):
            fit(network(), task, tmp_path, check=stop_after(killed))
    model = network()
    progress = fit(model, task, tmp_path)
    assert (progress.best, progress.best_epoch) == (0.8, 2), "of equally good epochs the first counts"
    assert (progress.epoch, progress.step) == (4, 4 * 27)
    assert same(state(model), seen[1])
    assert not same(state(model), seen[3])
    assert not model.training
    again = network()
    assert fit(again, task, tmp_path) == progress, "a training that had ended early went on"
    assert same(state(model), state(again))


def test_a_training_whose_patience_lasts_deploys_its_best_epoch_too(task, tmp_path, judged):
    seen = judged(0.5, 0.9, 0.7, 0.8)
    model = network()
    progress = fit(model, replace(task, train=task.train.model_copy(update={"patience": 9})), tmp_path)
    assert (progress.best_epoch, progress.step) == (2, 90)
    assert same(state(model), seen[1])


def test_a_network_without_normalisation_has_a_mean_too(task, tmp_path):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    progress = fit(model, replace(task, train=task.train.model_copy(update={"ema": 0.9}), steps=3), tmp_path)
    assert progress.step == 3
