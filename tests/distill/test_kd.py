import math

import pytest
import torch

from kdcore.distill.kd import Kd, KnowledgeDistillation, soft_targets
from kdcore.distill.method import StepInputs, cross_entropy

LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 3.0]], dtype=torch.float64)
OTHERS = torch.tensor([[1.0, 1.0, 0.0], [0.0, -2.0, 1.0]], dtype=torch.float64)


def by_hand(student, teacher, temperature):
    """T² · mean over the batch of Σ p log(p / q), written out with plain floats."""
    total = 0.0
    for s, t in zip(student.tolist(), teacher.tolist(), strict=True):
        p = [math.exp(v / temperature) for v in t]
        q = [math.exp(v / temperature) for v in s]
        p, q = [v / sum(p) for v in p], [v / sum(q) for v in q]
        total += sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    return temperature**2 * total / len(student)


@pytest.mark.parametrize("temperature", [0.25, 1.0, 4.0, 20.0])
def test_soft_targets_match_the_formula_written_out(temperature):
    assert soft_targets(LOGITS, OTHERS, temperature).item() == pytest.approx(by_hand(LOGITS, OTHERS, temperature))


def test_equal_logits_cost_nothing_and_shifts_change_nothing():
    assert soft_targets(LOGITS, LOGITS, 4).item() == pytest.approx(0, abs=1e-12)
    shifted = soft_targets(LOGITS + 7, OTHERS - 3, 4)
    assert shifted.item() == pytest.approx(soft_targets(LOGITS, OTHERS, 4).item())


def test_at_high_temperature_it_is_half_the_mean_square_of_the_centred_logits():
    centred = (LOGITS - LOGITS.mean(1, keepdim=True)) - (OTHERS - OTHERS.mean(1, keepdim=True))
    limit = (centred**2).sum(1).mean() / (2 * 3)
    assert soft_targets(LOGITS, OTHERS, 1e4).item() == pytest.approx(limit.item(), rel=1e-3)


def test_its_gradient_is_temperature_times_the_difference_of_the_softened_distributions():
    student = LOGITS.clone().requires_grad_()
    soft_targets(student, OTHERS, 4.0).backward()
    expected = 4.0 * ((LOGITS / 4).softmax(1) - (OTHERS / 4).softmax(1)) / len(LOGITS)
    torch.testing.assert_close(student.grad, expected)


def test_the_loss_is_the_weighted_sum_that_the_recipe_names():
    targets = torch.eye(3, dtype=torch.float64)[[0, 2]]
    method = KnowledgeDistillation(Kd(temperature=4, hard_weight=0.3, soft_weight=2))
    loss = method.loss(StepInputs(LOGITS, OTHERS, targets))
    hard = -(LOGITS.log_softmax(1)[0, 0] + LOGITS.log_softmax(1)[1, 2]) / 2
    assert loss["hard"].item() == pytest.approx(0.3 * hard.item())
    assert loss["soft"].item() == pytest.approx(2 * by_hand(LOGITS, OTHERS, 4))


def test_images_without_a_label_do_not_count_in_the_cross_entropy():
    targets = torch.tensor([[1.0, 0, 0], [0, 0, 0]], dtype=torch.float64)
    assert cross_entropy(LOGITS, targets).item() == pytest.approx(-LOGITS.log_softmax(1)[0, 0].item())
    assert cross_entropy(LOGITS, torch.zeros(2, 3, dtype=torch.float64)).item() == 0
