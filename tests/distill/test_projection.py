import pytest
import torch

from kdcore.distill.method import Unsuitable
from kdcore.distill.projection import projection
from tests.distill.nets import net


@pytest.mark.parametrize(
    ("architecture", "options"),
    [("cnn", {"width": 8}), ("resnet", {"depth": 14}), ("mlp", {}), ("wrn", {"depth": 10, "width": 1})],
)
def test_a_teacher_of_the_students_size_is_taken_over_whole(architecture, options):
    student, teacher = net(architecture, 0, **options), net(architecture, 1, **options)
    student.load_state_dict(projection(student, teacher, "first", "uniform"), strict=False)
    images = torch.rand(4, 1, 8, 8)
    torch.testing.assert_close(student.eval()(images), teacher.eval()(images))


def test_uniform_channels_are_every_second_of_twice_as_many_and_first_ones_the_first():
    student, teacher = net("cnn", width=8), net("cnn", 1, width=16)
    weight = teacher.stage1.conv.weight
    uniform = projection(student, teacher, "first", "uniform")
    assert torch.equal(uniform["stage1.conv.weight"], weight[::2, ::2])
    assert torch.equal(uniform["stage2.norm.running_var"], teacher.stage2.norm.running_var[::2])
    assert torch.equal(uniform["head.weight"], teacher.head.weight[:, ::2])
    assert torch.equal(projection(student, teacher, "first", "first")["stage1.conv.weight"], weight[:8, :8])


def test_sizes_that_do_not_divide_are_spread_from_the_first_to_the_last():
    student, teacher = net("mlp", widths=[3]), net("mlp", 1, widths=[8])
    assert torch.equal(
        projection(student, teacher, "first", "uniform")["stem.linear.bias"], teacher.stem.linear.bias[[0, 4, 7]]
    )


def test_a_pruned_copy_of_channels_that_come_in_pairs_computes_the_same():
    """When every second channel repeats the one before it, dropping it and halving the sums changes nothing."""
    student, teacher = net("mlp", widths=[4]), net("mlp", 1, widths=[8])
    with torch.no_grad():
        teacher.stem.linear.weight[1::2], teacher.stem.linear.bias[1::2] = (
            teacher.stem.linear.weight[::2],
            teacher.stem.linear.bias[::2],
        )
        teacher.head.weight[:, 1::2] = teacher.head.weight[:, ::2]
    student.load_state_dict(projection(student, teacher, "first", "uniform"), strict=False)
    images = torch.rand(4, 1, 8, 8)
    bias = teacher.head.bias
    torch.testing.assert_close(2 * (student(images) - bias), teacher(images) - bias)


def test_of_a_deeper_teacher_the_first_blocks_of_each_stage_are_taken_or_evenly_spread_ones():
    student, teacher = net("resnet", depth=14), net("resnet", 1, depth=26)  # two blocks a stage, and four
    for layers, taken in (("first", "1"), ("uniform", "2")):
        found = projection(student, teacher, layers, "uniform")
        block = teacher.stage2.get_submodule(taken)
        assert torch.equal(found["stage2.1.conv1.weight"], block.conv1.weight)


@pytest.mark.parametrize(
    ("student", "teacher", "reason"),
    [
        (("mlp", {}), ("cnn", {}), "no layers like the student's stem"),
        (("cnn", {"width": 8}), ("resnet", {"depth": 8}), "student's stage1.*student's family"),
        (("cnn", {"width": 16}), ("cnn", {"width": 8}), "wider than its teacher's"),
        (("resnet", {"depth": 14}), ("resnet", {"depth": 8}), "at least as deep"),
    ],
)
def test_what_cannot_be_taken_over_is_refused_with_the_reason(student, teacher, reason):
    with pytest.raises(Unsuitable, match=reason):
        projection(net(student[0], **student[1]), net(teacher[0], **teacher[1]), "first", "uniform")
