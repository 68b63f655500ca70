import json
import math
from dataclasses import replace

import pytest
import torch

from kdcore.distill.method import cross_entropy
from kdcore.inputs.images import InMemoryImages
from kdcore.recipe import Train
from kdcore.train.loop import Diverged, Trainer, fit
from kdcore.train.objective import Objective
from tests.train.conftest import network, same, state


def test_it_learns_and_tells_each_epoch(task, tmp_path):
    rows = []
    model = network()
    fit(model, task, tmp_path, on_epoch=rows.append)
    assert [row["step"] for row in rows] == [27, 54, 81, 90]
    assert rows[-1]["val_accuracy"] > 0.9
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()] == rows


def test_a_curve_on_test_images_changes_nothing_else(task, tmp_path):
    models, histories = [network(), network()], []
    for model, test in zip(models, (None, task.validation), strict=True):
        folder = tmp_path / str(test is None)
        folder.mkdir()
        histories.append([])
        fit(model, replace(task, test=test), folder, on_epoch=histories[-1].append)
    assert same(state(models[0]), state(models[1]))
    assert "test_accuracy" not in histories[0][0]
    assert [row["test_accuracy"] for row in histories[1]] == [row["val_accuracy"] for row in histories[0]]


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(task, tmp_path):
    models = [network(), network(), network()]
    for index, (model, seed) in enumerate(zip(models, (3, 3, 4), strict=True)):
        folder = tmp_path / str(index)
        folder.mkdir()
        fit(model, replace(task, seed=seed), folder)
    assert same(state(models[0]), state(models[1]))
    assert not same(state(models[0]), state(models[2]))


def test_a_constraint_holds_after_every_step(task, tmp_path):
    model = network()

    def keep():
        with torch.no_grad():
            model[0].weight[0].zero_()

    keep()
    fit(model, replace(task, constrain=keep), tmp_path)
    assert model[0].weight[0].count_nonzero() == 0
    assert model[0].weight[1:].count_nonzero() > 0


def test_a_loss_that_is_no_number_stops_with_the_remedy(task, tmp_path):
    wild = task.train.model_copy(update={"learning_rate": 10.0, "optimizer": "sgd", "schedule": "constant"})
    model = network()
    with torch.no_grad():
        model[5].weight.fill_(1e30)
    with pytest.raises(Diverged, match=r"train\.learning_rate"):
        fit(model, replace(task, train=wild), tmp_path)


class BreaksAt(Objective):
    """Its loss is NaN, or its gradient alone is, from one step on."""

    def __init__(self, step, gradient=False):
        self.step, self.gradient = step, gradient

    def loss(self, network, batch):
        loss, logits = super().loss(network, batch)
        if batch.step == self.step:
            loss = loss + (network[5].bias * 0).sqrt().sum() if self.gradient else loss * math.nan
        return loss, logits


@pytest.mark.parametrize(("step", "epoch"), [(5, 0), (30, 1), (53, 1)])
def test_a_broken_loss_is_told_with_its_step_and_the_last_checkpoint_stays(task, tmp_path, step, epoch):
    kept = f"epoch {epoch} is kept" if epoch else "no checkpoint"
    with pytest.raises(Diverged, match=rf"step {step} \(epoch {epoch + 1}\).*{kept}"):
        fit(network(), replace(task, lesson=BreaksAt(step)), tmp_path)
    assert (tmp_path / "checkpoint" / "progress.json").exists() == bool(epoch)
    assert len((tmp_path / "history.jsonl").read_text().splitlines()) == epoch
    if epoch:  # what was kept can be gone on from
        model, whole = network(), network()
        fit(model, task, tmp_path)
        (tmp_path / "whole").mkdir()
        fit(whole, task, tmp_path / "whole")
        assert same(state(model), state(whole))


@pytest.mark.parametrize("changes", [{}, {"ema": 0.9}])
def test_weights_that_break_in_an_epochs_last_step_are_never_kept(task, tmp_path, changes):
    task = replace(task, train=task.train.model_copy(update=changes), lesson=BreaksAt(26, gradient=True))
    with pytest.raises(Diverged, match="step 27"):
        fit(network(), task, tmp_path)
    assert not (tmp_path / "checkpoint").exists()


def gradients_of_first_step(task, tmp_path, clip):
    """What the first step of SGD took from the weights, over the learning rate: the gradient that was followed."""
    train = Train(
        steps=1, batch_size=16, optimizer="sgd", schedule="constant", learning_rate=0.5, weight_decay=0, clip_norm=clip
    )
    model = network()
    before = [weights.detach().clone() for weights in model.parameters()]
    trainer = Trainer(model, replace(task, train=train, steps=1), lambda: None)
    trainer.steps(0, 1, torch.Generator().manual_seed(0))
    taken = [(old - new.detach()) / 0.5 / 1.9 for old, new in zip(before, model.parameters(), strict=True)]
    return torch.cat([one.flatten() for one in taken])  # Nesterov's first step is 1 + momentum times the gradient


def test_a_clipped_gradient_points_the_same_way_and_has_the_length_that_was_asked_for(task, tmp_path):
    free, clipped = (gradients_of_first_step(task, tmp_path, clip) for clip in (0, 0.01))
    assert free.norm() > 0.1
    assert clipped.norm().item() == pytest.approx(0.01, rel=1e-3)
    assert torch.nn.functional.cosine_similarity(free, clipped, dim=0) > 0.999
    loose = gradients_of_first_step(task, tmp_path, 100)
    torch.testing.assert_close(loose, free)


def test_smoothed_labels_are_learnt_and_images_without_a_label_stay_without(task, tmp_path):
    shown = []

    class Looks(Objective):
        def loss(self, network, batch):
            shown.append((batch.indices.clone(), batch.targets.clone()))
            return super().loss(network, batch)

    targets = task.targets.clone()
    targets[1::2] = 0
    train = Train(steps=4, batch_size=16, label_smoothing=0.3)
    fit(network(), replace(task, targets=targets, train=train, steps=4, lesson=Looks()), tmp_path)
    for indices, seen in shown:
        labelled = indices % 2 == 0
        expected = 0.7 * torch.eye(3)[indices % 3] + 0.1
        torch.testing.assert_close(seen[labelled], expected[labelled])
        assert not seen[~labelled].any()


def test_the_loss_in_the_history_is_the_mean_over_the_epochs_steps(task, tmp_path):
    said = []

    class Looks(Objective):
        def loss(self, network, batch):
            loss, logits = super().loss(network, batch)
            said.append(cross_entropy(logits, batch.targets).item())
            return loss, logits

    rows = []
    fit(network(), replace(task, lesson=Looks()), tmp_path, on_epoch=rows.append)
    assert rows[0]["loss"] == pytest.approx(sum(said[:27]) / 27, rel=1e-5)


def test_a_set_smaller_than_a_batch_is_learnt_from(task, tmp_path):
    few = replace(task, images=InMemoryImages(task.images.images[:5]), targets=task.targets[:5], steps=30)
    rows = []
    fit(network(), few, tmp_path, on_epoch=rows.append)
    assert rows[-1]["step"] == 30
