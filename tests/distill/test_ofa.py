from __future__ import annotations

import math

import pytest
import torch

from kdcore.distill.method import StepInputs
from kdcore.distill.ofa import enhanced_loss

LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.3, 0.1, 0.2]], dtype=torch.float64)
OTHERS = torch.tensor([[1.0, 2.0, -3.0], [-0.5, 0.8, 0.0]], dtype=torch.float64)
RIGHT = torch.tensor([0, 1])


def softmax(row: list[float], temperature: float) -> list[float]:
    powers = [math.exp(value / temperature) for value in row]
    return [power / sum(powers) for power in powers]


@pytest.mark.parametrize(("enhancement", "temperature"), [(1.0, 1.0), (1.5, 1.0), (2.0, 4.0)])
def test_it_matches_the_formula_written_out(enhancement, temperature):
    total = 0.0
    for ours, theirs, right in zip(LOGITS.tolist(), OTHERS.tolist(), RIGHT.tolist(), strict=True):
        q, p = softmax(ours, temperature), softmax(theirs, temperature)
        for k in range(3):
            weight = (1 + p[k]) ** enhancement - 1 if k == right else p[k] ** enhancement
            total -= weight * math.log(q[k]) / 2
    assert enhanced_loss(LOGITS, OTHERS, RIGHT, enhancement, temperature).item() == pytest.approx(total)


def test_without_enhancement_its_gradient_is_that_of_soft_targets():
    student = LOGITS.clone().requires_grad_()
    enhanced_loss(student, OTHERS, RIGHT, 1.0).backward()
    torch.testing.assert_close(student.grad, (LOGITS.softmax(1) - OTHERS.softmax(1)) / 2)


def test_a_surer_teacher_makes_the_right_class_count_more():
    def pull(enhancement):
        student = torch.zeros(1, 3, requires_grad=True)
        enhanced_loss(student, torch.tensor([[4.0, 0, 0]]), torch.tensor([0]), enhancement).backward()
        return -student.grad[0, 0].item()

    assert pull(2.0) > pull(1.5) > pull(1.0) > 0


def test_every_stage_has_an_exit_to_the_classes(feature_step):
    for student in ("cnn", "resnet", "vit", "mlp"):
        step = feature_step({"method": "ofa"}, student)
        seen = step.seen()
        logits = [way(v) for way, v in zip(step.adapters, seen.student_features.values(), strict=True)]
        assert {tuple(one.shape) for one in logits} == {(12, 10)}
        assert not step.wanted.teacher  # any classifier can teach


def test_the_terms_are_the_sum_over_the_exits(feature_step):
    step = feature_step({"method": "ofa", "exit_weight": 0.5, "soft_weight": 2})
    step.network.eval(), step.adapters.eval()
    seen = step.seen()
    terms = step.method.loss(seen)
    chosen = [int((t if t.sum() else answer).argmax()) for t, answer in zip(seen.targets, seen.teacher, strict=True)]
    right = torch.tensor(chosen)  # the teacher's choice where there is no label
    assert terms["soft"].item() == pytest.approx(2 * enhanced_loss(seen.student, seen.teacher, right, 1.5).item())
    early = [way(v) for way, v in zip(step.adapters, seen.student_features.values(), strict=True)]
    expected = 0.5 * sum(enhanced_loss(one, seen.teacher, right, 1.5).item() for one in early)
    assert terms["exits"].item() == pytest.approx(expected, rel=1e-5)


def test_of_a_mixed_image_the_larger_share_is_right(feature_step):
    step = feature_step({"method": "ofa", "hard_weight": 0, "exit_weight": 0})
    seen = step.seen(count=2)
    mixed = torch.zeros(2, 10)
    mixed[:, 3], mixed[:, 5] = 0.4, 0.6
    whole = torch.eye(10)[[5, 5]]
    terms = [
        step.method.loss(StepInputs(seen.student, seen.teacher, targets, seen.student_features))["soft"].item()
        for targets in (mixed, whole)
    ]
    assert terms[0] == terms[1]
