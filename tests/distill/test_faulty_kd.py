"""Each fault is the one that it says."""

import pytest
import torch

from kdcore import models, registry
from kdcore.distill.kd import soft_targets
from kdcore.distill.method import StepInputs

LOGITS = torch.randn(2, 16, 10, generator=torch.Generator().manual_seed(0))
STUDENT, TEACHER = 3 * LOGITS[0], 12 * LOGITS[1]
LABELS = torch.eye(10)[torch.arange(16) % 10]
WHOLE = float(soft_targets(STUDENT, TEACHER, 4.0))


def method(fault):
    options = registry.validate("method", {"method": "faulty_kd", "temperature": 4, "soft_weight": 1, "fault": fault})
    return registry.entry("method", "faulty_kd").implementation(options)


def soft(fault):
    return float(method(fault).loss(StepInputs(STUDENT, TEACHER, LABELS))["soft"])


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("none", WHOLE),
        ("train_mode", WHOLE),
        ("no_t2", WHOLE / 16),
        ("mean", WHOLE / 10),
        ("unused", 0.0),
        ("swapped", float(soft_targets(TEACHER, STUDENT, 4.0))),
    ],
)
def test_the_soft_term_is_that_of_the_fault(fault, expected):
    assert soft(fault) == pytest.approx(expected, abs=1e-6)


def test_the_arguments_matter():
    assert soft("swapped") != pytest.approx(WHOLE, rel=0.01)


def test_a_teacher_in_training_mode_is_asked_anew_and_the_others_are_left_alone():
    made = registry.validate("architecture", {"architecture": "cnn", "width": 8})
    teacher = models.create(made, 10, (1, 8, 8), (0.5,), (0.5,)).eval()
    assert method("no_t2").taps(teacher, teacher).teacher == ()
    assert not teacher.training
    assert method("train_mode").taps(teacher, teacher).teacher
    assert teacher.training


def test_it_is_offered_nowhere_and_can_be_named():
    assert "faulty_kd" not in {entry.name for entry in registry.offered("method")}
    assert "faulty_kd" in {entry.name for entry in registry.entries("method")}
