import pytest
import torch
from torch.nn import functional

from kdcore.data.labelling import MANY_LABELS
from kdcore.distill.hard_labels import HardLabels, TeacherHardLabels, teacher_labels
from kdcore.distill.kd import soft_targets
from kdcore.distill.method import StepInputs

STUDENT = torch.tensor([[1.0, 0.0], [0.0, 2.0]], dtype=torch.float64)
TEACHER = torch.tensor([[0.2, 0.1], [3.0, 0.0]], dtype=torch.float64)


def test_it_is_the_cross_entropy_with_the_class_that_the_teacher_chooses():
    expected = -(STUDENT.log_softmax(1)[0, 0] + STUDENT.log_softmax(1)[1, 0]) / 2
    assert teacher_labels(STUDENT, TEACHER).item() == pytest.approx(expected.item())


def test_it_is_what_soft_targets_become_for_a_teacher_that_is_certain():
    assert teacher_labels(STUDENT, TEACHER).item() == pytest.approx(soft_targets(STUDENT, TEACHER * 1e6, 1.0).item())


def test_the_size_of_the_teachers_logits_does_not_matter():
    method = TeacherHardLabels(HardLabels())
    targets = torch.eye(2, dtype=torch.float64)
    one, ten = (
        method.loss(StepInputs(STUDENT, TEACHER, targets)),
        method.loss(StepInputs(STUDENT, 10 * TEACHER, targets)),
    )
    assert one["teacher_labels"].item() == ten["teacher_labels"].item()


def test_of_many_labels_it_takes_those_that_the_teacher_gives_above_one_half():
    taken = torch.tensor([[1.0, 1.0], [1.0, 0.0]], dtype=torch.float64)
    expected = functional.binary_cross_entropy_with_logits(STUDENT, taken, reduction="sum") / 2
    assert teacher_labels(STUDENT, TEACHER, MANY_LABELS).item() == pytest.approx(expected.item())
