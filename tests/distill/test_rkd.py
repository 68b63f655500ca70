from __future__ import annotations

import math

import pytest
import torch

from kdcore.distill.rkd import angle_loss, distance_loss
from kdcore.registry import validate


def vectors(seed: int, features: int = 4) -> torch.Tensor:
    return torch.randn(5, features, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def huber(a: float, b: float) -> float:
    return (a - b) ** 2 / 2 if abs(a - b) < 1 else abs(a - b) - 0.5


def distances_by_hand(points: list[list[float]]) -> list[float]:
    lengths = [math.dist(p, q) for p in points for q in points]
    mean = sum(lengths) / (len(points) * (len(points) - 1))
    return [length / mean for length in lengths]


def cosines_by_hand(points: list[list[float]]) -> list[float]:
    def cosine(i, j, k):
        left = [a - b for a, b in zip(points[j], points[i], strict=True)]
        right = [a - b for a, b in zip(points[k], points[i], strict=True)]
        lengths = math.hypot(*left) * math.hypot(*right)
        return sum(a * b for a, b in zip(left, right, strict=True)) / lengths if lengths else 0.0

    count = range(len(points))
    return [cosine(i, j, k) for i in count for j in count for k in count]


@pytest.mark.parametrize(("loss", "relations"), [(distance_loss, distances_by_hand), (angle_loss, cosines_by_hand)])
def test_it_matches_the_formula_written_out(loss, relations):
    ours, theirs = 3 * vectors(0), vectors(1, features=7)
    pairs = list(zip(relations(ours.tolist()), relations(theirs.tolist()), strict=True))
    assert loss(ours, theirs).item() == pytest.approx(sum(huber(a, b) for a, b in pairs) / len(pairs))


@pytest.mark.parametrize("loss", [distance_loss, angle_loss])
def test_moving_turning_and_scaling_all_images_together_changes_nothing(loss):
    ours = vectors(0)
    rotation, _ = torch.linalg.qr(vectors(2)[:4])
    moved = 7 * ours @ rotation + vectors(3)[0]
    assert loss(moved, ours).item() == pytest.approx(0, abs=1e-25)
    assert loss(moved, vectors(1)).item() == pytest.approx(loss(ours, vectors(1)).item())


def test_a_right_triangle_against_a_line():
    triangle = torch.tensor([[0.0, 0], [3, 0], [0, 4]])
    line = torch.tensor([[0.0], [1], [2]])
    ours, theirs = [3 / 4, 4 / 4, 5 / 4], [3 / 4, 6 / 4, 3 / 4]  # over the means 4 and 4/3; sides 01, 02, 12
    expected = 2 * sum(huber(a, b) for a, b in zip(ours, theirs, strict=True)) / 9
    assert distance_loss(triangle, line).item() == pytest.approx(expected)
    cosines, straight = [0, 3 / 5, 4 / 5], [1, -1, 1]  # at each corner, between the two others
    expected = 2 * sum(huber(a, b) for a, b in zip(cosines, straight, strict=True)) / 27
    assert angle_loss(triangle, line).item() == pytest.approx(expected)


@pytest.mark.parametrize("loss", [distance_loss, angle_loss])
@pytest.mark.parametrize("noise", [0.0, 1e-7])
def test_an_image_that_is_there_twice_does_no_harm(loss, noise):
    once = torch.randn(6, 8, generator=torch.Generator().manual_seed(0))
    ours = torch.cat([once, once + noise * torch.randn(6, 8)]).requires_grad_()
    theirs = torch.randn(6, 8, generator=torch.Generator().manual_seed(1)).repeat(2, 1)
    loss(ours, theirs).backward()
    assert ours.grad.isfinite().all()
    assert ours.grad.abs().max() < 10


@pytest.mark.parametrize("loss", [distance_loss, angle_loss])
def test_equal_or_single_images_give_finite_gradients(loss):
    for count in (1, 3):
        ours = torch.zeros(count, 4, requires_grad=True)
        loss(ours, torch.randn(count, 4)).backward()
        assert ours.grad.isfinite().all()


def test_one_of_the_two_weights_is_needed():
    assert validate("method", {"method": "rkd", "distance_weight": 0}).angle_weight == 50
    with pytest.raises(ValueError, match="distance and angle weight must not both be 0"):
        validate("method", {"method": "rkd", "distance_weight": 0, "angle_weight": 0})
