from __future__ import annotations

import math

import pytest
import torch

from kdcore.distill.attention import attention_loss, attention_map


def maps(seed: int, channels: int = 3, side: int = 4) -> torch.Tensor:
    return torch.randn(5, channels, side, side, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_hand(features: torch.Tensor, power: float) -> list[list[float]]:
    """Attention maps with plain floats."""
    rows = []
    for image in features.tolist():
        places = len(image[0]), len(image[0][0])
        sums = [sum(abs(c[y][x]) ** power for c in image) for y in range(places[0]) for x in range(places[1])]
        length = math.sqrt(sum(value**2 for value in sums))
        rows.append([value / length for value in sums])
    return rows


@pytest.mark.parametrize("power", [1.0, 2.0, 3.0])
def test_it_matches_the_formula_written_out(power):
    ours, theirs = maps(0), maps(1, channels=7)
    expected = [
        (a - b) ** 2
        for left, right in zip(by_hand(ours, power), by_hand(theirs, power), strict=True)
        for a, b in zip(left, right, strict=True)
    ]
    assert attention_loss(ours, theirs, power).item() == pytest.approx(sum(expected) / len(expected))


def test_equal_attention_costs_nothing_whatever_its_scale_and_sign():
    ours = maps(0)
    assert attention_loss(ours, ours).item() == 0
    per_image = torch.tensor([0.1, 1, 2, 30, 4], dtype=torch.float64)[:, None, None, None]
    assert attention_loss(-per_image * ours, ours).item() == pytest.approx(0, abs=1e-30)
    assert attention_loss(3 * ours, maps(1)).item() == pytest.approx(attention_loss(ours, maps(1)).item())


def test_looking_elsewhere_costs_the_most():
    left, right = torch.zeros(1, 2, 2, 2), torch.zeros(1, 2, 2, 2)
    left[0, 0, 0, 0], right[0, 1, 1, 1] = 5.0, 0.1
    assert attention_loss(left, right).item() == pytest.approx(2 / 4)
    assert attention_map(left, 2.0).tolist() == [[1, 0, 0, 0]]


def test_a_dead_map_has_no_attention_and_finite_gradients():
    dead = torch.zeros(2, 3, 4, 4, requires_grad=True)
    attention_loss(dead, torch.rand(2, 3, 4, 4)).backward()
    assert dead.grad.isfinite().all()


def test_maps_of_another_size_are_averaged_first():
    ours = maps(0, side=8)
    smaller = ours.unflatten(3, (4, 2)).unflatten(2, (4, 2)).mean((3, 5))
    assert attention_loss(ours, maps(1)).item() == pytest.approx(attention_loss(smaller, maps(1)).item())


def test_all_stages_are_summed(feature_step):
    whole = feature_step({"method": "attention", "hard_weight": 0})
    parts = [
        feature_step({"method": "attention", "student_taps": [name], "teacher_taps": [name], "hard_weight": 0})
        for name in ("stage1", "stage2")
    ]
    apart = [step.method.loss(step.seen())["attention"].item() for step in parts]
    assert whole.method.loss(whole.seen())["attention"].item() == pytest.approx(sum(apart), rel=1e-5)
