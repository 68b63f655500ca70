from __future__ import annotations

import math

import pytest
import torch

from kdcore.distill.sp import SimilarityPreserving, similarity_loss
from kdcore.registry import validate
from tests.distill.nets import net


def vectors(seed: int, features: int = 6) -> torch.Tensor:
    return torch.randn(5, features, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_hand(left: torch.Tensor, right: torch.Tensor) -> float:
    def matrix(features):
        rows = [[sum(a * b for a, b in zip(p, q, strict=True)) for q in features] for p in features]
        return [[value / math.sqrt(sum(v * v for v in row)) for value in row] for row in rows]

    ours, theirs = matrix(left.tolist()), matrix(right.tolist())
    total = sum((a - b) ** 2 for p, q in zip(ours, theirs, strict=True) for a, b in zip(p, q, strict=True))
    return total / len(ours) ** 2


def test_it_matches_the_formula_written_out():
    ours, theirs = vectors(0), vectors(1, features=9)
    assert similarity_loss(ours, theirs).item() == pytest.approx(by_hand(ours, theirs))


def test_rotations_mirrors_and_scales_change_nothing():
    ours, theirs = vectors(0), vectors(1)
    rotation, _ = torch.linalg.qr(vectors(2, 6).T @ vectors(3, 6) + torch.eye(6))
    assert similarity_loss(ours @ rotation, ours).item() == pytest.approx(0, abs=1e-25)
    assert similarity_loss(5 * ours @ rotation, theirs).item() == pytest.approx(similarity_loss(ours, theirs).item())


def test_maps_count_with_all_their_places():
    maps = torch.randn(5, 2, 3, 3, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    assert similarity_loss(maps, vectors(1)).item() == pytest.approx(by_hand(maps.flatten(1), vectors(1)))


def test_orthogonal_images_against_equal_ones():
    equal = torch.ones(2, 3)  # rows of the matrix are (1, 1) / sqrt 2
    expected = (2 * (1 - 1 / math.sqrt(2)) ** 2 + 2 * 0.5) / 4
    assert similarity_loss(torch.eye(2), equal).item() == pytest.approx(expected)


def test_dead_features_give_finite_gradients():
    dead = torch.zeros(4, 3, requires_grad=True)
    similarity_loss(dead, torch.rand(4, 3)).backward()
    assert dead.grad.isfinite().all()


@pytest.mark.parametrize(
    ("architecture", "options", "tap"),
    [("wrn", {"depth": 10, "width": 1}, "stage3"), ("mobilenetv2", {}, "stage4"), ("resnet", {"depth": 8}, "stage3")],
)
def test_the_last_stage_is_compared_before_what_comes_after_it(architecture, options, tap):
    network = net(architecture, **options)
    assert SimilarityPreserving(validate("method", "sp")).taps(network, network) == ((tap,), (tap,))
