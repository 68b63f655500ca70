import pytest
import torch

from kdcore.distill.method import StepInputs, Unsuitable
from kdcore.distill.weight_pull import PulledWeights, WeightPull, pull
from kdcore.models.fold import folded
from tests.distill.nets import net

SEEN = StepInputs(torch.zeros(2, 10), torch.zeros(2, 10), torch.zeros(2, 10))


def prepared(student, teacher, **options):
    method = PulledWeights(WeightPull(**options))
    method.begin(student, teacher)
    return method, method.prepare(student, folded(teacher.eval()), SEEN, 2)


def test_it_is_half_the_sum_of_squared_differences():
    pairs = [torch.tensor([1.0, 2.0]), torch.tensor([[3.0]])], [torch.tensor([0.0, 4.0]), torch.tensor([[1.0]])]
    assert pull(*pairs) == (1 + 4 + 4) / 2


def test_its_gradient_leads_from_each_weight_to_the_teachers_and_touches_no_statistics():
    student, teacher = net("cnn", width=8), net("cnn", 1, width=16)
    method, _ = prepared(student, teacher, weight=0.3)
    method.loss(SEEN)["pull"].backward()
    expected = 0.3 * (student.stage1.conv.weight - teacher.stage1.conv.weight[::2, ::2])
    torch.testing.assert_close(student.stage1.conv.weight.grad, expected.detach())
    assert all(parameter.grad is not None for parameter in student.parameters())


def test_a_student_that_is_where_it_is_pulled_to_pays_nothing():
    method, _ = prepared(net("cnn", 1, width=8), net("cnn", 1, width=8))
    assert method.loss(SEEN)["pull"] == 0


def test_without_a_teacher_it_is_refused_and_a_network_that_did_not_begin_here_is_not_pulled():
    student = net("cnn", width=8)
    with pytest.raises(Unsuitable, match="no teacher network"):
        PulledWeights(WeightPull()).begin(student, None)
    method = PulledWeights(WeightPull())
    assert method.prepare(student, net("cnn", 1, width=16), SEEN, 2) is None
    assert list(method.loss(SEEN)) == ["hard"]


def test_the_anchors_follow_to_the_device_and_are_not_saved():
    _, anchors = prepared(net("cnn", width=8), net("cnn", 1, width=16))
    assert list(anchors.buffers())
    assert not anchors.state_dict()
    assert not list(anchors.parameters())
