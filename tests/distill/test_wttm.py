import math

import pytest
import torch

from kdcore.distill.kd import soft_targets
from kdcore.distill.method import StepInputs
from kdcore.distill.wttm import TransformedTeacher, Wttm, transformed

STUDENT = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 3.0]], dtype=torch.float64)
TEACHER = torch.tensor([[1.0, 1.0, 0.0], [0.0, -2.0, 1.0]], dtype=torch.float64)


def by_hand(student, teacher, temperature):
    total = 0.0
    for s, t in zip(student.tolist(), teacher.tolist(), strict=True):
        p, q = ([math.exp(v) / sum(map(math.exp, row)) for v in row] for row in (t, s))
        powers = [v ** (1 / temperature) for v in p]
        total += sum(v * math.log(v / sum(powers) / w) for v, w in zip(powers, q, strict=True))
    return total / len(student)


@pytest.mark.parametrize("temperature", [1.0, 5.0])
def test_it_matches_the_power_transform_written_out(temperature):
    assert transformed(STUDENT, TEACHER, temperature).item() == pytest.approx(by_hand(STUDENT, TEACHER, temperature))


def test_at_temperature_one_it_is_plain_distillation():
    assert transformed(STUDENT, TEACHER, 1.0).item() == pytest.approx(soft_targets(STUDENT, TEACHER, 1.0).item())


def test_an_undecided_teacher_counts_as_much_as_the_number_of_classes_allows():
    flat = torch.zeros_like(TEACHER)
    plain = soft_targets(STUDENT, flat, 1.0).item()  # a flat teacher is the same at every temperature
    assert transformed(STUDENT, flat, 5.0).item() == pytest.approx(3 ** (1 - 1 / 5) * plain)


def test_shifts_change_nothing_and_gradients_agree_with_finite_differences():
    student = STUDENT.clone().requires_grad_()
    assert transformed(STUDENT + 7, TEACHER - 3, 5.0).item() == pytest.approx(transformed(STUDENT, TEACHER, 5.0).item())
    assert torch.autograd.gradcheck(lambda logits: transformed(logits, TEACHER, 5.0), (student,))


def test_the_terms_carry_the_weights_and_need_no_label():
    loss = TransformedTeacher(Wttm(soft_weight=3)).loss(
        StepInputs(STUDENT, TEACHER, torch.zeros(2, 3, dtype=torch.float64))
    )
    assert loss["hard"] == 0
    assert loss["soft"].item() == pytest.approx(3 * by_hand(STUDENT, TEACHER, 5.0))
