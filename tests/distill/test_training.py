"""Every method in the real loop: something is learnt from it, by the student and by its adapters."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from kdcore import registry
from kdcore.distill.objectives.distillation import DistillationObjective
from kdcore.distill.traits import MethodTraits, asks
from kdcore.train.loop import fit
from tests import pairs

torch.set_num_threads(1)
METHODS = [entry.name for entry in registry.entries("method")]


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """What plain distillation makes of the same student in the same steps."""
    student, task = pairs.taught(registry.validate("method", "kd"), steps=3)
    fit(student, task, tmp_path_factory.mktemp("kd"))
    return student.state_dict()


@pytest.mark.parametrize("name", METHODS)
def test_gradients_reach_the_student_and_the_adapters(name, tmp_path):
    student, task = pairs.taught(registry.validate("method", name), steps=3)
    lesson, reached = task.lesson, []
    loss = lesson.loss

    def watched(network, batch):
        value, logits = loss(network, batch)
        trained = [p for p in (*network.parameters(), *lesson.companions.parameters()) if p.requires_grad]
        grads = torch.autograd.grad(value, trained, retain_graph=True, allow_unused=True)
        reached.append([grad is not None and bool(grad.abs().max() > 0) for grad in grads])
        return value, logits

    lesson.loss = watched
    fit(student, task, tmp_path)
    ever = [any(step) for step in zip(*reached, strict=True)]
    names = [n for module in (student, lesson.companions) for n, p in module.named_parameters() if p.requires_grad]
    assert all(ever), [name for name, hit in zip(names, ever, strict=True) if not hit]


@pytest.mark.parametrize(
    "name", [name for name in METHODS if name != "kd" and "pictures" in MethodTraits.named(name).reads]
)
def test_the_weights_differ_from_plain_distillations(name, plain, tmp_path):
    student, task = pairs.taught(registry.validate("method", name), steps=3)
    fit(student, task, tmp_path)
    weight = "stage1.conv.weight" if "stage1.conv.weight" in plain else next(iter(plain))
    assert not torch.equal(student.state_dict()[weight], plain[weight])


@pytest.mark.parametrize("name", ["weight_pull", "weight_selection"])
def test_a_teacher_that_is_not_asked_makes_no_difference(name, tmp_path_factory):
    options = registry.validate("method", name)
    student, task = pairs.taught(options, steps=3)
    assert not asks(options)
    assert task.lesson.teacher is None
    fit(student, task, tmp_path_factory.mktemp("alone"))
    other, asking = pairs.taught(options, steps=3)
    teacher = pairs.network(12, seed=1).eval().requires_grad_(False)
    fit(
        other,
        replace(asking, lesson=DistillationObjective(asking.lesson.method, teacher)),
        tmp_path_factory.mktemp("asking"),
    )
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in student.state_dict().items())


def test_beside_a_method_that_asks_the_teacher_is_asked():
    parts = [{"of": {"method": "weight_pull"}}, {"of": {"method": "kd"}}]
    combined = {"method": "combine", "parts": parts}
    assert asks(registry.validate("method", combined))
    parts[1] = {"of": {"method": "label_smoothing"}}
    assert not asks(registry.validate("method", combined))
