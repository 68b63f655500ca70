import torch

from kdcore.distill.method import StepInputs
from kdcore.distill.weight_selection import SelectedWeights, WeightSelection
from tests.distill.nets import net


def test_the_student_begins_as_a_part_of_its_teacher_which_stays_as_it_was():
    student, teacher = net("cnn", width=8), net("cnn", 1, width=16)
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    begun = SelectedWeights(WeightSelection()).begin(student, teacher)
    assert torch.equal(begun.stem.conv.weight, teacher.stem.conv.weight[::2])
    with torch.no_grad():
        begun.stem.conv.weight.zero_()
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())


def test_then_labels_alone_count():
    logits = torch.zeros(2, 10)
    loss = SelectedWeights(WeightSelection()).loss(StepInputs(logits, torch.empty(0, 10), torch.eye(10)[:2]))
    assert list(loss) == ["hard"]
    torch.testing.assert_close(loss["hard"], torch.log(torch.tensor(10.0)))
