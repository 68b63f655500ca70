import pytest
import torch

from kdcore.distill.kd import soft_targets
from kdcore.distill.logits import LogitMatching, Logits, logit_distance
from kdcore.distill.method import StepInputs

STUDENT = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 3.0]], dtype=torch.float64)
TEACHER = torch.tensor([[1.0, 1.0, 0.0], [0.0, -2.0, 1.0]], dtype=torch.float64)


def test_it_is_half_the_squared_distance_worked_out_by_hand():
    # Row 1: 1 + 1 + 1. Row 2: 0.25 + 6.25 + 4. Half of the mean.
    assert logit_distance(STUDENT, TEACHER).item() == pytest.approx((3 + 10.5) / 4)


def test_its_gradient_is_the_difference_of_the_logits():
    student = STUDENT.clone().requires_grad_()
    logit_distance(student, TEACHER).backward()
    torch.testing.assert_close(student.grad, (STUDENT - TEACHER) / 2)


def test_for_centred_logits_it_is_what_soft_targets_tend_to_at_high_temperature():
    student, teacher = (logits - logits.mean(1, keepdim=True) for logits in (STUDENT, TEACHER))
    assert soft_targets(student, teacher, 1e4).item() * 3 == pytest.approx(
        logit_distance(student, teacher).item(), rel=1e-3
    )


def test_by_default_the_labels_do_not_count_and_images_without_a_label_do():
    loss = LogitMatching(Logits()).loss(StepInputs(STUDENT, TEACHER, torch.zeros(2, 3, dtype=torch.float64)))
    assert loss["hard"] == 0
    assert loss["logits"].item() == pytest.approx(13.5 / 4)
