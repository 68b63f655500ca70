from __future__ import annotations

import math

import pytest
import torch

from kdcore.distill.crd import contrastive_loss
from kdcore.distill.method import Unsuitable
from kdcore.distill.nets.contrast import Contrast

SMALL = {"method": "crd", "dimensions": 8}


def contrast(images: int = 6) -> Contrast:
    torch.manual_seed(0)
    return Contrast(5, 7, 3, images)


def test_the_loss_matches_the_formula_written_out():
    positive, negatives = torch.tensor([0.5, -1.0]), torch.tensor([[0.1, -2.0, 1.0], [3.0, 0.0, -0.5]])
    noise = 3 / 50  # k over the number of images
    expected = 0.0
    for own, others in zip(positive.tolist(), negatives.tolist(), strict=True):
        expected -= math.log(math.exp(own) / (math.exp(own) + noise))
        expected -= sum(math.log(noise / (math.exp(other) + noise)) for other in others)
    assert contrastive_loss(positive, negatives, 50).item() == pytest.approx(expected / 2)


def test_a_pair_that_is_told_apart_costs_nothing():
    far = torch.full((2, 3), -30.0)
    assert contrastive_loss(torch.full((2,), 30.0), far, 3).item() == pytest.approx(0, abs=1e-9)
    assert contrastive_loss(torch.full((2,), -30.0), far, 3).item() == pytest.approx(30, rel=1e-6)
    assert math.isfinite(contrastive_loss(torch.tensor([-1e4]), torch.tensor([[1e4]]), 3).item())


def test_the_first_step_of_a_method_written_out(feature_step):
    """Both sides with explicit loops: every anchor against what the memory knew before."""
    step = feature_step({**SMALL, "hard_weight": 0, "negatives": 4})
    seen, memory = step.seen(), step.adapters
    banks = memory.banks.clone()
    chosen = [int((t if t.sum() else answer).argmax()) for t, answer in zip(seen.targets, seen.teacher, strict=True)]
    term = step.method.loss(seen)["contrast"].item()
    vectors = [v.mean((2, 3)) for v in (seen.student_features["stage2"], seen.teacher_features["stage2"])]
    memory.classes[seen.indices] = torch.tensor(chosen)
    drawn = memory.negatives(torch.tensor(chosen), 4, torch.Generator().manual_seed(seen.seed))
    total = 0.0
    for side in (0, 1):
        anchors = torch.nn.functional.normalize(memory.embed[side](vectors[side]), dim=1).detach()
        scores = [
            [math.exp(float(anchor @ banks[1 - side][i]) / 0.07) for i in [int(own), *others.tolist()]]
            for anchor, own, others in zip(anchors, seen.indices, drawn, strict=True)
        ]
        z = sum(sum(row) for row in scores) / (12 * 5) * 40
        for row in scores:
            chances = [score / z / (score / z + 4 / 40) for score in row]
            total -= (math.log(chances[0]) + sum(math.log(1 - chance) for chance in chances[1:])) / 12
    assert term == pytest.approx(0.8 * total, rel=1e-4)


def test_negatives_are_of_other_classes_each_as_likely():
    memory = contrast()
    memory.classes.copy_(torch.tensor([2, 0, 2, 1, -1, 0]))
    drawn = memory.negatives(torch.tensor([2, 0, 1, 9]), 6000, torch.Generator().manual_seed(0))
    for row, others in zip(drawn, ([1, 3, 4, 5], [0, 2, 3, 4], [0, 1, 2, 4, 5], range(6)), strict=True):
        counts = torch.bincount(row, minlength=6) / 6000
        assert [place for place in range(6) if counts[place]] == list(others)
        assert counts[list(others)].tolist() == pytest.approx([1 / len(others)] * len(others), abs=0.03)


def test_where_all_images_are_of_one_class_any_is_drawn():
    memory = contrast()
    memory.classes.fill_(3)
    drawn = memory.negatives(torch.tensor([3]), 200, torch.Generator().manual_seed(0))
    assert set(drawn.flatten().tolist()) == set(range(6))


def test_the_memory_follows_with_momentum_and_takes_the_mean_of_an_image_seen_twice():
    memory = contrast()
    before = memory.banks.clone()
    new = torch.nn.functional.normalize(torch.randn(3, 3), dim=1)
    memory.remember(torch.tensor([4, 1, 4]), new, -new, momentum=0.25)
    for side, sign in ((0, 1), (1, -1)):
        for place, direction in ((1, new[1]), (4, (new[0] + new[2]) / 2)):
            moved = 0.25 * before[side, place] + 0.75 * sign * direction
            torch.testing.assert_close(memory.banks[side, place], moved / moved.norm())
        untouched = [0, 2, 3, 5]
        assert torch.equal(memory.banks[side, untouched], before[side, untouched])


def test_z_is_estimated_once():
    memory = contrast()
    scores = torch.randn(4, 5)
    first = memory.normalisation(0, scores)
    assert first.item() == pytest.approx(math.log(scores.exp().mean().item() * 6), rel=1e-5)
    assert memory.normalisation(0, scores + 3).item() == first.item()
    assert memory.log_z[1].item() == math.inf  # the other side's is its own


def test_memory_goes_through_a_state_dict_and_training_goes_on_with_the_same_bits(feature_step):
    one, other = feature_step(SMALL), feature_step(SMALL)
    one.train(2)
    for ours, theirs in ((other.network, one.network), (other.adapters, one.adapters)):
        ours.load_state_dict({name: value.clone() for name, value in theirs.state_dict().items()})
    losses = [step.method.loss(step.seen(step=5))["contrast"].item() for step in (one, other)]
    assert losses[0] == losses[1]
    assert torch.equal(one.adapters.banks, other.adapters.banks)
    assert torch.equal(one.adapters.classes, other.adapters.classes)


def test_the_seed_decides_what_is_drawn(feature_step):
    memory = feature_step(SMALL).adapters
    draws = [memory.negatives(torch.tensor([1, 2]), 20, torch.Generator().manual_seed(seed)) for seed in (7, 7, 8)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_an_image_without_a_label_gets_the_teachers_choice(feature_step):
    step = feature_step(SMALL)
    seen = step.seen()
    step.method.loss(seen)
    row = 0  # its target is all zeros
    assert not seen.targets[row].any()
    assert step.adapters.classes[seen.indices[row]] == seen.teacher[row].argmax()
    assert step.adapters.classes.eq(-1).any()  # images that were not seen


def test_few_images_are_enough_but_one_is_not(feature_step):
    step = feature_step(SMALL)
    assert step.train(3)[-1] < 1e4
    with pytest.raises(Unsuitable, match="at least 2"):
        step.method.prepare(step.network, step.teacher, step.seen(count=2), 1)
