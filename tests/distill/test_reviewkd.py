from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from kdcore import models, registry
from kdcore.distill.nets.review import Fusion, Review
from kdcore.distill.objectives.distillation import DistillationObjective
from kdcore.distill.reviewkd import KnowledgeReview, pyramid_loss
from kdcore.train.objective import Batch


def maps(seed: int, side: int) -> torch.Tensor:
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def averaged(features: torch.Tensor, side: int) -> torch.Tensor:
    block = features.shape[2] // side
    return features.unflatten(3, (side, block)).unflatten(2, (side, block)).mean((3, 5))


@pytest.mark.parametrize(("side", "levels"), [(8, [4, 2, 1]), (4, [2, 1]), (2, [1]), (1, [])])
def test_it_is_the_weighted_mean_over_the_pyramid(side, levels):
    ours, theirs = maps(0, side), maps(1, side)
    difference = ours - theirs
    total, weights = float((difference**2).mean()), 1.0
    for place, level in enumerate(levels, start=1):
        total += float((averaged(difference, level) ** 2).mean()) / 2**place
        weights += 1 / 2**place
    assert pyramid_loss(ours, theirs).item() == pytest.approx(total / weights)
    assert pyramid_loss(ours, ours).item() == 0


def test_a_shift_of_all_places_costs_its_square_at_every_level():
    ours = maps(0, 8)
    assert pyramid_loss(ours + 3, ours).item() == pytest.approx(9)


def test_fusion_mixes_place_by_place_what_the_deeper_stage_gave():
    torch.manual_seed(0)
    fusion = Fusion(3, 4, 5, deepest=False).eval()
    features, deeper = torch.randn(2, 3, 4, 4), torch.randn(2, 4, 2, 2)
    output, mixed = fusion(features, deeper, (4, 4))
    own = fusion.narrow(features)
    upper = deeper.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)  # nearest neighbour
    shares = fusion.attention(torch.cat([own, upper], dim=1))
    torch.testing.assert_close(mixed, own * shares[:, 0:1] + upper * shares[:, 1:2])
    assert output.shape == (2, 5, 4, 4)


def test_fused_stages_take_the_teachers_shapes_and_come_in_order():
    torch.manual_seed(0)
    review = Review([4, 6, 6], [7, 8, 9])
    stages = [torch.randn(2, 4, 8, 8), torch.randn(2, 6, 4, 4), torch.randn(2, 6, 1, 1)]
    sizes = [(4, 4), (4, 4), (1, 1)]
    fused = review(stages, sizes)
    assert [tuple(one.shape) for one in fused] == [(2, 7, 4, 4), (2, 8, 4, 4), (2, 9, 1, 1)]
    before = [one.detach().clone() for one in review.eval()(stages, sizes)]
    after = review([*stages[:2], torch.randn(2, 6, 1, 1)], sizes)
    assert not torch.allclose(before[0], after[0])  # the deepest stage is heard in the first
    other_first = review([torch.randn(2, 4, 8, 8), *stages[1:]], sizes)
    torch.testing.assert_close(before[1], other_first[1])  # and not the other way round


def test_the_weight_rises_over_the_warm_up(feature_step):
    step = feature_step({"method": "reviewkd", "warm_up": 0.5})
    step.network.eval(), step.adapters.eval()
    at = [
        step.method.loss(replace(step.seen(), step=place, steps=100))["review"].item() for place in (0, 24, 49, 50, 99)
    ]
    assert [value / at[-1] for value in at] == pytest.approx([0.02, 0.5, 1, 1, 1])
    whole = feature_step({"method": "reviewkd", "warm_up": 0})
    whole.network.eval(), whole.adapters.eval()
    assert whole.method.loss(whole.seen())["review"].item() == pytest.approx(at[-1])


@pytest.mark.parametrize(("architecture", "channels"), [("mobilenetv2", 1280), ("shufflenetv2", 1024)])
def test_the_deepest_stage_is_what_the_classifier_is_given(architecture, channels):
    student, teacher = (
        models.create(registry.validate("architecture", name), 10, (3, 32, 32), [0.5] * 3, [0.25] * 3)
        for name in (architecture, {"architecture": "resnet", "depth": 8})
    )
    learns = KnowledgeReview(registry.validate("method", "reviewkd"))
    lesson = DistillationObjective(learns, teacher.eval().requires_grad_(False))
    batch = Batch(torch.rand(2, 3, 32, 32), torch.eye(10)[:2], torch.arange(2), 0, 10, 0)
    lesson.prepare(student.eval(), batch, 2, "fp32")
    seen, _ = lesson._look(student, batch)
    own, other = learns._compared(seen)
    torch.testing.assert_close(student.head(own[-1].flatten(1)), seen.student)
    torch.testing.assert_close(teacher.head(other[-1].flatten(1)), seen.teacher)
    assert own[-1].shape == (2, channels, 1, 1)
    assert len(own) == len(other) == 4
    assert all(maps.min() < 0 for maps in other[:-1])  # before their activation
