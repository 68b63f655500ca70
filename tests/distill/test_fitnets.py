from __future__ import annotations

import pytest
import torch

from kdcore.distill.fitnets import hint_loss
from kdcore.distill.nets.regressor import regressor


def test_the_loss_is_the_mean_square_of_the_differences():
    ours, hint = torch.tensor([[1.0, 2.0], [0.0, -1.0]]), torch.tensor([[0.0, 2.0], [3.0, 1.0]])
    assert hint_loss(ours, hint).item() == pytest.approx((1 + 0 + 9 + 4) / 4)
    assert hint_loss(hint, hint).item() == 0


def test_the_regressor_maps_each_place_by_itself_and_normalises(feature_step):
    step = feature_step({"method": "fitnets"})
    seen = step.seen()
    convolution, *_ = step.adapters
    convolution.weight.data.zero_()
    convolution.weight.data[:, 1] = 2
    ours, hint = seen.student_features["stage1"], seen.teacher_features["stage1"]
    one = ours[:, 1].detach()
    expected = ((one - one.mean()) / one.std(correction=0)).clamp(min=0)  # the same in every channel
    loss = step.method.loss(seen)["hints"].item()
    assert loss == pytest.approx(100 * (expected[:, None] - hint).square().mean().item(), rel=1e-3)


@pytest.mark.parametrize(("own", "other"), [((6, 8, 8), (9, 8, 8)), ((6, 8, 8), (9, 4, 4)), ((6, 4, 4), (9, 8, 8))])
def test_the_regressor_gives_the_teachers_shape_and_nothing_below_zero(own, other):
    made = regressor(own, other)(torch.randn(5, *own))
    assert made.shape == (5, *other)
    assert made.min() == 0


def test_the_named_stages_are_compared_at_the_teachers_size(feature_step):
    step = feature_step({"method": "fitnets", "student_tap": "stem", "teacher_tap": "stage2"})  # 8x8 and 4x4
    own, hint = step.method._comparable(step.seen())
    assert own.shape[1:] == (6, 8, 8)
    assert step.adapters(own).shape[1:] == hint.shape[1:] == (20, 4, 4)


def test_maps_of_sizes_without_a_regressor_are_averaged_down(feature_step):
    step = feature_step({"method": "fitnets", "student_tap": "stem", "teacher_tap": "stage3"}, "cnn", "resnet")
    own, hint = step.method._comparable(step.seen())  # 8x8 and 2x2
    assert own.shape[1:] == (6, 2, 2)
    assert step.adapters(own).shape == hint.shape


def test_vectors_get_a_linear_regressor(feature_step):
    step = feature_step({"method": "fitnets"}, "mlp", "wide")
    assert step.adapters[0].weight.shape == (10, 16)  # from the middle stage's neurons to the teacher's channels


def test_the_regressor_learns(feature_step):
    losses = feature_step({"method": "fitnets", "hard_weight": 0}).train(20)
    assert losses[-1] < 0.8 * losses[0]
