"""Reverse KL, against the definition written out."""

import pytest
import torch

from kdcore.distill.kd import soft_targets
from kdcore.distill.method import StepInputs
from kdcore.distill.reverse_kl import ReverseKl, ReverseKullbackLeibler, reverse_kl

STUDENT = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 3.0]], dtype=torch.float64)
TEACHER = torch.tensor([[1.0, 1.0, 0.0], [0.0, -2.0, 1.0]], dtype=torch.float64)


def test_it_is_the_divergence_of_the_student_from_the_teacher():
    q, p = (torch.softmax(logits / 2, 1) for logits in (STUDENT, TEACHER))
    assert reverse_kl(STUDENT, TEACHER, 2).item() == pytest.approx(4 * (q * (q / p).log()).sum(1).mean().item())
    assert reverse_kl(STUDENT, TEACHER, 2) == pytest.approx(soft_targets(TEACHER, STUDENT, 2))


def test_its_gradient_is_that_of_the_definition():
    student = STUDENT.clone().requires_grad_()
    reverse_kl(student, TEACHER, 1).backward()
    q = torch.softmax(STUDENT, 1)
    ratio = q.log() - torch.log_softmax(TEACHER, 1)
    expected = q * (ratio - (q * ratio).sum(1, keepdim=True)) / 2
    torch.testing.assert_close(student.grad, expected)


def test_labels_count_with_their_weight():
    loss = ReverseKullbackLeibler(ReverseKl(hard_weight=0.5)).loss(
        StepInputs(STUDENT, TEACHER, torch.eye(3)[:2].double())
    )
    assert loss["hard"].item() == pytest.approx(-0.5 * torch.log_softmax(STUDENT, 1)[[0, 1], [0, 1]].mean().item())
    assert loss["reverse"].item() == pytest.approx(0.9 * reverse_kl(STUDENT, TEACHER, 1).item())
