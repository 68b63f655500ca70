import math

import pytest
import torch

from kdcore.distill.label_smoothing import LabelSmoothing, TeacherFree, handmade, smoothing
from kdcore.distill.method import StepInputs, cross_entropy

STUDENT = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 3.0]], dtype=torch.float64)
TARGETS = torch.eye(3, dtype=torch.float64)[[0, 2]]
NOBODY = torch.empty(0, 3, dtype=torch.float64)


def by_hand(student, labels, correct, temperature):
    total = 0.0
    for row, label in zip(student.tolist(), labels, strict=True):
        told = [correct if k == label else (1 - correct) / 2 for k in range(3)]
        p = [math.exp(v / temperature) / sum(math.exp(w / temperature) for w in told) for v in told]
        q = [math.exp(v) / sum(map(math.exp, row)) for v in row]
        total += sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    return total / len(labels)


def test_it_matches_the_hand_made_teacher_written_out():
    expected = by_hand(STUDENT, [0, 2], 0.99, 20)
    assert smoothing(STUDENT, TARGETS, 0.99, 20).item() == pytest.approx(expected)


def test_hot_it_pulls_towards_equal_shares():
    torch.testing.assert_close(handmade(TARGETS, 0.99, 1e6).exp(), torch.full_like(TARGETS, 1 / 3), atol=1e-5, rtol=0)


def test_images_without_a_label_do_not_count_and_none_at_all_costs_nothing():
    partly = torch.cat([TARGETS[:1], torch.zeros(1, 3, dtype=torch.float64)])
    assert smoothing(STUDENT, partly, 0.99, 20).item() == pytest.approx(by_hand(STUDENT[:1], [0], 0.99, 20))
    assert smoothing(STUDENT, torch.zeros_like(TARGETS), 0.99, 20).item() == 0


def test_a_mixed_label_makes_a_mixed_teacher():
    mixed = torch.tensor([[0.5, 0, 0.5]], dtype=torch.float64)
    told = handmade(mixed, 0.99, 1.0).exp()[0]
    assert told[0].item() == pytest.approx(told[2].item())
    assert told[0] > told[1]


def test_it_asks_no_teacher_and_weighs_its_terms():
    loss = TeacherFree(LabelSmoothing()).loss(StepInputs(STUDENT, NOBODY, TARGETS))
    assert loss["hard"].item() == pytest.approx(0.9 * cross_entropy(STUDENT, TARGETS).item())
    assert loss["smooth"].item() == pytest.approx(0.1 * by_hand(STUDENT, [0, 2], 0.99, 20))
