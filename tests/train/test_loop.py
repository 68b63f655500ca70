import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from kdcore import registry
from kdcore.distill.lessons.taught import Taught
from kdcore.recipe import Train, Views
from kdcore.train.answers import Answers
from kdcore.train.images import Held
from kdcore.train.loop import Diverged, Task, fit

torch.set_num_threads(1)


def network(seed=0, width=6):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, 4, 3, padding=1),
        nn.Flatten(),
        nn.Linear(256, 3),
    )


@pytest.fixture
def task():
    """Three classes of 8x8 images that differ in where they are bright."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(60) % 3
    images = torch.randint(0, 80, (60, 1, 8, 8), generator=generator, dtype=torch.uint8)
    for index, label in enumerate(labels):
        images[index, 0, 2 * label : 2 * label + 3] += 120
    train = Train(steps=90, batch_size=16, views=Views(shift=1, mixup=1.0))
    return Task(Held(images), torch.eye(3)[labels], (images[:12], labels[:12]), train, 90, "fp32", seed=3)


def state(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


def test_it_learns_and_tells_each_epoch(task, tmp_path):
    rows = []
    model = network()
    fit(model, task, tmp_path, on_epoch=rows.append)
    assert [row["step"] for row in rows] == [27, 54, 81, 90]
    assert rows[-1]["val_accuracy"] > 0.9
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()] == rows


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(task, tmp_path):
    models = [network(), network(), network()]
    for index, (model, seed) in enumerate(zip(models, (3, 3, 4), strict=True)):
        folder = tmp_path / str(index)
        folder.mkdir()
        fit(model, replace(task, seed=seed), folder)
    assert same(state(models[0]), state(models[1]))
    assert not same(state(models[0]), state(models[2]))


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("after", [1, 30, 60])
def test_stopped_anywhere_and_resumed_it_ends_with_the_same_bits_and_no_epoch_twice(task, tmp_path, after, optimizer):
    task = replace(task, train=task.train.model_copy(update={"optimizer": optimizer}))
    for name in ("whole", "torn"):
        (tmp_path / name).mkdir()
    whole = network()
    fit(whole, task, tmp_path / "whole")
    calls = iter(range(10_000))

    def stop():
        if next(calls) == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(network(), task, tmp_path / "torn", check=stop)
    with (tmp_path / "torn" / "history.jsonl").open("a") as file:
        file.write('{"epoch": 99, "torn')
    torn = network(seed=8)  # what a resumed run starts from does not matter once there is a checkpoint
    if after < 27:
        torn = network()
    fit(torn, task, tmp_path / "torn")
    assert same(state(whole), state(torn))
    rows = [json.loads(line) for line in (tmp_path / "torn" / "history.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]


def test_remembered_answers_are_the_teachers_own(task, tmp_path):
    options = registry.validate("method", "kd")
    method = registry.entry_of("method", options).implementation(options)
    teacher = network(seed=5, width=12).eval().requires_grad_(False)
    answers = Answers()
    made = []
    for index, kept in enumerate((answers, answers, Answers())):
        (tmp_path / str(index)).mkdir()
        model = network()
        fit(model, replace(task, lesson=Taught(method, teacher, kept, "s")), tmp_path / str(index))
        made.append(state(model))
    assert same(made[0], made[1])
    assert same(made[0], made[2])


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
