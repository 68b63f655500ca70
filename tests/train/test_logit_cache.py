"""The teacher's answers: looked up where that is legal, shared between students, and always its own."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
import torch
from torch import nn

from kdcore.distill.objectives.distillation import DistillationObjective
from kdcore.recipe import Augmentation
from kdcore.train import logit_cache as module
from kdcore.train.logit_cache import LogitCache, ask_all
from kdcore.train.loop import fit
from tests.train.conftest import method, network, same, state


class Counting(nn.Module):
    """A teacher that remembers which images it was asked about."""

    def __init__(self, seed=5):
        super().__init__()
        self.inner, self.asked = network(seed, width=12), Counter()
        self.eval().requires_grad_(False)

    def forward(self, images):
        self.asked.update(image.numpy().tobytes() for image in (images * 255).round().byte())
        return self.inner(images)


@pytest.fixture
def still(task):
    return replace(task, train=task.train.model_copy(update={"views": Augmentation()}))


def trained(task, lesson, folder):
    folder.mkdir()
    model = network()
    fit(model, replace(task, lesson=lesson), folder)
    return state(model)


def test_a_table_asks_about_each_image_once_and_teaches_the_same(still, tmp_path):
    asked, looked_up = Counting(), Counting()
    each_time = trained(still, DistillationObjective(method(), asked), tmp_path / "asked")
    table = trained(
        still,
        DistillationObjective(method(), looked_up, table=lambda: ask_all(looked_up, still.images, "fp32")),
        tmp_path / "table",
    )
    assert sorted(looked_up.asked.values()) == [1] * 60
    assert sum(asked.asked.values()) > 90 * 16
    for name, value in table.items():
        torch.testing.assert_close(value, each_time[name], rtol=1e-3, atol=1e-4)


def test_where_features_are_wanted_a_table_of_logits_is_of_no_use(still, tmp_path):
    from tests.train.test_resume import zoo

    def table():
        raise AssertionError("the table was made")

    lesson = DistillationObjective(method("fitnets"), zoo(5, seed=9).eval(), table=table)
    fit(zoo(4, 0), replace(still, steps=3, lesson=lesson), tmp_path)


def test_the_answers_to_one_students_views_serve_the_next_one_of_its_seed(task, tmp_path):
    teacher, answers = Counting(), LogitCache()
    first = trained(task, DistillationObjective(method(), teacher, answers, "seed 3"), tmp_path / "1")
    asked = sum(teacher.asked.values())
    again = trained(task, DistillationObjective(method(), teacher, answers, "seed 3"), tmp_path / "2")
    assert sum(teacher.asked.values()) == asked
    alone = trained(task, DistillationObjective(method(), teacher, LogitCache(), "seed 3"), tmp_path / "3")
    assert same(first, again)
    assert same(first, alone)
    other = DistillationObjective(method(), teacher, answers, "seed 4")
    before = sum(teacher.asked.values())
    trained(replace(task, seed=4), other, tmp_path / "4")
    assert sum(teacher.asked.values()) - before == asked, "another seed has other views"


def test_beyond_the_limit_the_teacher_is_asked_again(monkeypatch):
    monkeypatch.setattr(module, "LIMIT_BYTES", 2 * 4 * 3 * 4)  # two answers to four images, three classes
    teacher, answers, images = Counting(), LogitCache(), torch.rand(4, 1, 8, 8)
    said = [answers.ask(teacher, "s", step, images) for step in (0, 1, 2, 0, 1, 2)]
    assert sum(teacher.asked.values()) == 4 * 4
    assert all(torch.equal(one, said[0]) for one in said)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_all_images_are_asked_about_in_order_and_without_gradient(task, precision):
    teacher = network(5).eval()
    said = ask_all(teacher, task.images, precision)
    with torch.no_grad():
        expected = teacher(task.images.images / 255)
    assert said.dtype == torch.float32
    assert not said.requires_grad
    torch.testing.assert_close(said, expected, **({"rtol": 0.05, "atol": 0.05} if precision == "bf16" else {}))


def test_after_training_nothing_watches_the_networks_any_more(task, tmp_path):
    from tests.train.test_resume import zoo

    student, teacher = zoo(4, 0), zoo(5, seed=9).eval()
    fit(student, replace(task, steps=3, lesson=DistillationObjective(method("fitnets"), teacher)), tmp_path)
    assert not any(part._forward_hooks for one in (student, teacher) for part in one.modules())
