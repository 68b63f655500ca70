import math

import pytest
import torch

from kdcore.data.labelling import MANY_LABELS
from kdcore.distill.method import StepInputs
from kdcore.distill.sigmoid import binary_divergence
from kdcore.registry import entry, validate

STUDENT = torch.tensor([[0.0, 1.5, -2.0], [3.0, -0.5, 0.25]], dtype=torch.float64)
TEACHER = torch.tensor([[1.0, -1.0, -4.0], [2.0, 0.5, 0.0]], dtype=torch.float64)


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def divergence(student, teacher, temperature):
    """The definition, in plain floats."""
    total = 0.0
    for s_row, t_row in zip(student.tolist(), teacher.tolist(), strict=True):
        for s, t in zip(s_row, t_row, strict=True):
            p, q = sigmoid(t / temperature), sigmoid(s / temperature)
            total += p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))
    return temperature**2 * total / len(student)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_it_is_the_divergence_of_each_yes_or_no(temperature):
    found = binary_divergence(STUDENT, TEACHER, temperature).item()
    assert found == pytest.approx(divergence(STUDENT, TEACHER, temperature))


def test_equal_logits_have_nothing_to_learn():
    student = TEACHER.clone().requires_grad_()
    loss = binary_divergence(student, TEACHER, 3.0)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-12)
    assert student.grad.abs().max() < 1e-12


def test_the_gradient_of_each_logit_depends_on_its_class_alone():
    student = STUDENT.clone().requires_grad_()
    binary_divergence(student, TEACHER, 2.0).backward()
    expected = [
        [2.0 * (sigmoid(s / 2) - sigmoid(t / 2)) / 2 for s, t in zip(*rows, strict=True)]
        for rows in zip(STUDENT.tolist(), TEACHER.tolist(), strict=True)
    ]
    for row, wanted in zip(student.grad.tolist(), expected, strict=True):
        assert row == pytest.approx(wanted)


def test_at_high_temperature_it_is_the_squared_distance_of_the_logits():
    limit = ((STUDENT - TEACHER) ** 2).sum(1).mean().item() / 8
    assert binary_divergence(STUDENT, TEACHER, 1e4).item() == pytest.approx(limit, rel=1e-4)


def test_confident_teachers_stay_finite():
    extreme = torch.tensor([[200.0, -200.0]])
    student = (-extreme).requires_grad_()
    loss = binary_divergence(student, extreme, 1.0)
    loss.backward()
    assert loss.item() == pytest.approx(400)
    assert student.grad.isfinite().all()


def test_an_image_without_labels_counts_in_the_soft_term_alone():
    method = entry("method", "sigmoid").implementation(validate("method", "sigmoid"))
    targets = torch.tensor([[0.0, 1, 0], [math.nan] * 3], dtype=torch.float64)
    terms = method.loss(StepInputs(STUDENT, TEACHER, targets, labelling=MANY_LABELS))
    hard = -math.log(1 - sigmoid(0)) - math.log(sigmoid(1.5)) - math.log(1 - sigmoid(-2))
    assert terms["hard"].item() == pytest.approx(hard)
    assert terms["soft"].item() == pytest.approx(10 * divergence(STUDENT, TEACHER, 1.0))
