import math

import pytest
import torch

from kdcore.distill.dkd import DecoupledDistillation, Dkd, decoupled, target_classes
from kdcore.distill.kd import soft_targets
from kdcore.distill.method import StepInputs

STUDENT = torch.tensor([[2.0, 0.0, -1.0, 0.3], [0.5, 0.5, 3.0, -2.0]], dtype=torch.float64)
TEACHER = torch.tensor([[1.0, 1.5, 0.0, -1.0], [0.0, -2.0, 1.0, 0.5]], dtype=torch.float64)
CLASSES = torch.tensor([0, 2])


def by_hand(student, teacher, classes, temperature):
    """Both terms with plain floats, by the definitions: b from the whole softmax, p-hat by leaving out one class."""
    target = other = 0.0
    for s, t, right in zip(student.tolist(), teacher.tolist(), classes.tolist(), strict=True):
        p, q = (softmax([v / temperature for v in row]) for row in (t, s))
        target += divergence([p[right], 1 - p[right]], [q[right], 1 - q[right]])
        p, q = (softmax([v / temperature for i, v in enumerate(row) if i != right]) for row in (t, s))
        other += divergence(p, q)
    return temperature**2 * target / len(student), temperature**2 * other / len(student)


def softmax(row):
    return [math.exp(v) / sum(map(math.exp, row)) for v in row]


def divergence(p, q):
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_both_terms_match_the_definitions_written_out(temperature):
    found = decoupled(STUDENT, TEACHER, CLASSES, temperature)
    assert [term.item() for term in found] == pytest.approx(by_hand(STUDENT, TEACHER, CLASSES, temperature))


def test_plain_distillation_is_their_weighted_sum():
    """The paper's eq. 6: KD = target + (1 - p) other, image by image."""
    for row in range(2):
        student, teacher, right = STUDENT[row : row + 1], TEACHER[row : row + 1], CLASSES[row : row + 1]
        terms = decoupled(student, teacher, right, 4.0)
        sure = (teacher / 4).softmax(1)[0, right].item()
        assert (terms.target + (1 - sure) * terms.other).item() == pytest.approx(
            soft_targets(student, teacher, 4.0).item()
        )


def test_equal_logits_cost_nothing_and_shifts_change_nothing():
    assert [term.item() for term in decoupled(STUDENT, STUDENT + 2, CLASSES, 4.0)] == pytest.approx([0, 0], abs=1e-12)


def test_what_is_said_of_the_right_class_does_not_touch_the_others_term():
    surer = TEACHER + 5 * torch.eye(4, dtype=torch.float64)[CLASSES]
    plain, changed = decoupled(STUDENT, TEACHER, CLASSES, 4.0), decoupled(STUDENT, surer, CLASSES, 4.0)
    assert changed.other.item() == pytest.approx(plain.other.item())
    assert changed.target.item() != pytest.approx(plain.target.item(), rel=0.1)


def test_gradients_agree_with_finite_differences_and_stay_finite_for_a_certain_teacher():
    student = STUDENT.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda logits: sum(decoupled(logits, TEACHER, CLASSES, 4.0)), (student,))
    certain = (100 * TEACHER.float()).requires_grad_()
    sum(decoupled(certain, -certain.detach(), CLASSES, 1.0)).backward()
    assert certain.grad.isfinite().all()


def test_the_right_class_is_the_labels_the_larger_part_of_a_mix_or_else_the_teachers_choice():
    targets = torch.tensor(
        [[0, 0, 1.0, 0], [0.3, 0.7, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0.2], [0, 0, 0, 0.8]], dtype=torch.float64
    )
    teacher = torch.tensor([[9.0, 0, 0, 0]] * 5)
    assert target_classes(targets, teacher).tolist() == [2, 1, 0, 0, 3]


def test_the_teachers_weight_rises_over_the_first_twelfth_of_the_training():
    method = DecoupledDistillation(Dkd())

    def at(step):
        loss = method.loss(
            StepInputs(STUDENT, TEACHER, torch.eye(4, dtype=torch.float64)[CLASSES], step=step, steps=240)
        )
        return loss["target"].item(), loss["other"].item(), loss["hard"].item()

    target, other = by_hand(STUDENT, TEACHER, CLASSES, 4.0)
    assert at(9)[:2] == pytest.approx((target / 2, 8 * other / 2))
    assert at(19)[:2] == at(200)[:2] == pytest.approx((target, 8 * other))
    assert at(0)[2] == at(200)[2]
