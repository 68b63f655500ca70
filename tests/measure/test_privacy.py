from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.metrics import roc_auc_score, roc_curve

from kdcore.data.splits import split
from kdcore.measure.privacy import (
    FEWEST,
    MOST,
    area,
    area_difference,
    losses,
    members_of,
    non_members,
    privacy,
)
from kdcore.recipe import Data


def drawn(members=80, others=300, shift=0.5, seed=0, step=0.0):
    """Losses of members and non_members; those of members are lower by `shift`. Rounded to `step`, they have ties."""
    random = np.random.default_rng(seed)
    found = random.normal(size=members) - shift, random.normal(size=others)
    return tuple(np.round(one / step) * step if step else one for one in found)


def scored(members, others):
    """Labels and scores as scikit-learn takes them: 1 for members, the lower the loss the higher."""
    return np.r_[np.ones(len(members)), np.zeros(len(others))], -np.r_[members, others]


def pairs(members, others):
    """The area by its definition: the share of pairs in which the member's loss is the lower one."""
    return (members[:, None] < others).mean()


@pytest.mark.parametrize("step", [0.0, 0.25])
def test_the_area_is_scikit_learns_also_with_ties(step):
    members, others = drawn(step=step)
    assert area(members, others).value == pytest.approx(roc_auc_score(*scored(members, others)), abs=1e-12)


def test_the_interval_is_that_of_the_bootstrap_over_the_images():
    members, others = drawn(members=150)
    random = np.random.default_rng(1)
    drawn_areas = [pairs(random.choice(members, len(members)), random.choice(others, len(others))) for _ in range(1000)]
    found = area(members, others)
    assert (found.low, found.high) == pytest.approx(np.quantile(drawn_areas, [0.025, 0.975]), abs=0.01)


def test_the_interval_holds_the_true_area_as_often_as_it_says():
    """Losses of one distribution: the true area is one half. 500 draws: 95 % within three standard errors."""
    held = [low <= 0.5 <= high for _, low, high in (area(*drawn(60, 120, 0.0, seed)) for seed in range(500))]
    assert np.mean(held) == pytest.approx(0.95, abs=3 * np.sqrt(0.95 * 0.05 / 500))


def test_all_members_below_all_strangers_is_no_certainty():
    found = area(np.arange(30.0), np.arange(100.0, 140.0))
    assert found == (1.0, pytest.approx(1 - 3 / 30), 1.0)
    assert area(np.arange(100.0, 140.0), np.arange(30.0)) == (0.0, 0.0, pytest.approx(3 / 30))


def test_a_difference_is_paired():
    """Two models whose losses go up and down together: the difference is known better than either area."""
    members, others = drawn()
    random = np.random.default_rng(2)
    other_members, other_others = (one + 0.1 * random.normal(size=len(one)) for one in (members, others))
    found = area_difference(members, others, other_members, other_others)
    alone = area(members, others)
    assert found.value == pytest.approx(alone.value - area(other_members, other_others).value)
    assert found.high - found.low < (alone.high - alone.low) / 3
    bootstrap = []
    for _ in range(800):
        m, o = random.integers(0, len(members), len(members)), random.integers(0, len(others), len(others))
        bootstrap.append(pairs(members[m], others[o]) - pairs(other_members[m], other_others[o]))
    assert (found.low, found.high) == pytest.approx(np.quantile(bootstrap, [0.025, 0.975]), abs=0.005)
    with pytest.raises(ValueError, match="the same examples"):
        area_difference(members, others, members[1:], others)


def test_the_document():
    members, others = drawn(step=0.1)
    told = privacy(members, others)
    false, true, _ = roc_curve(*scored(members, others), drop_intermediate=False)
    assert told["auc"] == pytest.approx(roc_auc_score(*scored(members, others)))
    assert told["advantage"] == pytest.approx((true - false).max())
    assert told["found_at_1"] == pytest.approx(true[false <= 0.01].max())
    assert (told["members"], told["others"], told["reason"]) == (80, 300, "")
    json.dumps(told, allow_nan=False)


def test_one_per_cent_of_few_strangers_is_not_told():
    assert privacy(*drawn(others=99))["found_at_1"] is None


@pytest.mark.parametrize(("members", "others", "few"), [(FEWEST - 1, 300, "members"), (300, FEWEST - 1, "others")])
def test_a_handful_of_images_tells_nothing(members, others, few):
    told = privacy(*drawn(members, others))
    assert told["auc"] is told["low"] is told["advantage"] is None
    assert told["reason"].startswith(f"{FEWEST - 1} {few} are too few")
    assert (told["members"], told["others"]) == (members, others)


def test_losses_are_the_labels_negative_log_likelihoods():
    random = np.random.default_rng(0)
    logits, labels = random.normal(scale=3, size=(50, 7)).astype(np.float32), random.integers(0, 7, 50)
    expected = -log_softmax(logits.astype(float), axis=1)[np.arange(50), labels]
    np.testing.assert_allclose(losses(logits, labels), expected, rtol=1e-6)


def test_losses_of_near_certainty_do_not_become_equal():
    logits = np.array([[60, 0, 0], [70, 0, 0], [-500, 500, 0]], np.float32)
    found = losses(logits, np.array([0, 0, 0]))
    assert found[0] == pytest.approx(2 * np.exp(-60), rel=1e-4)
    assert found[1] == pytest.approx(2 * np.exp(-70), rel=1e-4)
    assert found[2] == 1000


def test_losses_of_label_sets_are_summed_over_the_decisions():
    logits, labels = np.array([[2.0, -1.0], [0.5, 3.0]]), np.array([[1, 0], [0, 1]], np.uint8)
    signed = np.array([[2.0, 1.0], [-0.5, 3.0]])
    np.testing.assert_allclose(losses(logits, labels), np.log1p(np.exp(-signed)).sum(axis=1), rtol=1e-6)


def test_strangers_are_of_the_members_classes():
    assert non_members(np.array([0, 2]), np.array([0, 1, 2, 1])).tolist() == [True, False, True, False]
    assert non_members(np.array([[1, 0]]), np.array([[0, 1], [1, 1]])).all()


@pytest.mark.parametrize(("labels", "hidden"), [(50, ()), (300, ("3",)), (None, ())])
def test_a_students_members_are_among_its_teachers(digits, labels, hidden):
    shares = split(digits, Data(labels=labels, hide_classes=hidden))
    student, teacher = (members_of(digits, shares.teacher, seen) for seen in (shares.labelled, shares.teacher))
    assert sorted(student) == sorted(shares.labelled)
    assert np.isin(student, teacher).all()
    assert np.isin(teacher, shares.teacher).all()
    assert len(set(teacher.tolist())) == len(teacher) == min(MOST, len(shares.teacher))


def test_of_more_images_the_first_stand_for_all(digits, monkeypatch):
    monkeypatch.setattr("kdcore.measure.privacy.MOST", 100)
    shares = split(digits, Data(labels=60))
    student, teacher = (members_of(digits, shares.teacher, seen) for seen in (shares.labelled, shares.teacher))
    assert len(teacher) == 100
    assert np.isin(student, teacher).all()
    counts = np.bincount(np.asarray(digits.train_labels)[teacher], minlength=10)
    assert counts.min() >= 8
