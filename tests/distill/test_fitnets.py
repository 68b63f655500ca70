from __future__ import annotations

import pytest
import torch

from kdcore.distill.fitnets import hint_loss


def test_the_loss_is_the_mean_square_of_the_differences():
    ours, hint = torch.tensor([[1.0, 2.0], [0.0, -1.0]]), torch.tensor([[0.0, 2.0], [3.0, 1.0]])
    assert hint_loss(ours, hint).item() == pytest.approx((1 + 0 + 9 + 4) / 4)
    assert hint_loss(hint, hint).item() == 0


def test_the_regressor_maps_each_place_by_itself(feature_step):
    step = feature_step({"method": "fitnets"})
    step.adapters.weight.data.zero_()
    step.adapters.weight.data[0, 1] = 2
    step.adapters.bias.data.zero_()
    seen = step.seen()
    ours, hint = seen.student_features["stage1"], seen.teacher_features["stage1"].clone()
    hint[:, 0] -= 2 * ours[:, 1].detach()
    expected = 100 * sum(float(v) ** 2 for v in hint.flatten()) / hint.numel()
    assert step.method.loss(seen)["hints"].item() == pytest.approx(expected, rel=1e-4)


def test_the_named_stages_are_compared_at_the_smaller_size(feature_step):
    step = feature_step({"method": "fitnets", "student_tap": "stem", "teacher_tap": "stage2"})  # 8x8 and 4x4
    own, hint = step.method._comparable(step.seen())
    assert own.shape[1:] == (6, 4, 4)
    assert hint.shape[1:] == (20, 4, 4)
    assert step.adapters.weight.shape == (20, 6, 1, 1)


def test_vectors_get_a_linear_regressor(feature_step):
    step = feature_step({"method": "fitnets"}, "mlp", "wide")
    assert step.adapters.weight.shape == (10, 16)  # from the middle stage's neurons to the teacher's channels


def test_the_regressor_learns(feature_step):
    losses = feature_step({"method": "fitnets", "hard_weight": 0}).train(20)
    assert losses[-1] < 0.8 * losses[0]
