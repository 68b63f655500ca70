from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from kdcore.distill.pkt import neighbour_loss


def vectors(seed: int, features: int = 6) -> torch.Tensor:
    return torch.randn(5, features, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_hand(student: torch.Tensor, teacher: torch.Tensor) -> float:
    def probabilities(points):
        cosines = [[np.dot(p, q) / (math.hypot(*p) * math.hypot(*q)) for q in points] for p in points]
        return [[(c + 1) / 2 / sum((d + 1) / 2 for d in row) for c in row] for row in cosines]

    q, p = probabilities(student.tolist()), probabilities(teacher.tolist())
    count = len(p)
    return sum(p[i][j] * math.log(p[i][j] / q[i][j]) for i in range(count) for j in range(count)) / count**2


def test_it_matches_the_formula_written_out():
    ours, theirs = vectors(0), vectors(1, features=9)
    assert neighbour_loss(ours, theirs).item() == pytest.approx(by_hand(ours, theirs), rel=1e-5)


def test_equal_neighbourhoods_cost_nothing_whatever_the_scale_of_each_image():
    ours = vectors(0)
    scales = torch.tensor([1, 2, 0.1, 5, 30], dtype=torch.float64)[:, None]
    assert neighbour_loss(scales * ours, ours).item() == pytest.approx(0, abs=1e-12)
    assert neighbour_loss(scales * ours, vectors(1)).item() == pytest.approx(neighbour_loss(ours, vectors(1)).item())


def test_it_is_a_divergence():
    assert neighbour_loss(vectors(0), vectors(1)).item() > 0


def test_opposite_images_against_equal_ones():
    opposite, equal = torch.tensor([[1.0, 0], [-1, 0]]), torch.ones(2, 3)
    assert neighbour_loss(equal, opposite).item() == pytest.approx(2 * math.log(2) / 4, rel=1e-5)  # 1 against 1/2


def test_dead_features_give_finite_gradients():
    dead = torch.zeros(4, 3, requires_grad=True)
    neighbour_loss(dead, torch.rand(4, 3)).backward()
    assert dead.grad.isfinite().all()
