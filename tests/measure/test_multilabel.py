from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics

from kdcore.measure.multilabel import average_precision, map_difference, multilabel_quality


@st.composite
def answers(draw):
    """Logits of N images for K classes, with ties, and label sets."""
    shape = draw(st.integers(1, 30)), draw(st.integers(1, 6))
    logits = draw(hnp.arrays(np.float32, shape, elements=st.integers(-12, 12).map(lambda x: x / 4)))
    labels = draw(hnp.arrays(np.uint8, shape, elements=st.integers(0, 1)))
    return logits, labels, [f"class {index}" for index in range(shape[1])]


@settings(max_examples=30)
@given(answers())
def test_measures_agree_with_scikit_learn(answer):
    logits, labels, classes = answer
    found = multilabel_quality(logits, labels, classes)
    predicted = logits > 0
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        labels.reshape(-1, len(classes)), predicted, average=None, zero_division=0, labels=range(len(classes))
    ) if len(classes) > 1 else metrics.precision_recall_fscore_support(
        labels[:, 0], predicted[:, 0], average=None, zero_division=0, labels=[1]
    )  # fmt: skip
    for name, values in (("precision", precision), ("recall", recall), ("f1", f1), ("n", support)):
        assert [row[name] for row in found["per_class"]] == pytest.approx(values.tolist()), name
    assert found["macro_f1"] == pytest.approx(f1.mean())
    assert found["accuracy"] == pytest.approx((predicted == labels).all(axis=1).mean())
    held = labels.any(axis=0)
    averages = [metrics.average_precision_score(labels[:, k], logits[:, k]) for k in np.flatnonzero(held)]
    assert found["map"] == pytest.approx(np.mean(averages) if averages else 0)
    told = [row["average_precision"] for row in found["per_class"] if row["average_precision"] is not None]
    assert told == pytest.approx(averages)
    json.dumps(found, allow_nan=False)


@settings(max_examples=30)
@given(answers())
def test_likelihood_and_calibration_agree_with_scikit_learn(answer):
    logits, labels, classes = answer
    found = multilabel_quality(logits, labels, classes)
    p = 1 / (1 + np.exp(-logits.astype(float)))
    expected = sum(metrics.log_loss(labels[:, k], p[:, k], labels=[0, 1]) for k in range(len(classes)))
    assert found["nll"] == pytest.approx(expected, rel=1e-6)
    assert 0 <= found["ece"] <= 1


def test_average_precision_with_ties_worked_out_by_hand():
    # From the highest: 3 (true); 2, held by a true and a false one, which count together; 1 (true); 0 (false).
    scores, true = np.array([3.0, 2.0, 2.0, 1.0, 0.0]), np.array([True, False, True, True, False])
    expected = (1 / 3) * (1 / 1) + (1 / 3) * (2 / 3) + (1 / 3) * (3 / 4)
    assert average_precision(scores, true) == pytest.approx(expected)
    assert average_precision(scores[::-1].copy(), true[::-1].copy()) == pytest.approx(expected), "no matter the order"


def test_average_precision_at_the_ends():
    true = np.array([True, False, False, True])
    assert average_precision(np.zeros(4), true) == pytest.approx(1 / 2)  # all alike: the share of true ones
    assert average_precision(np.array([2.0, 0.0, 1.0, 3.0]), true) == 1
    assert average_precision(np.array([1.0, 2.0]), np.array([False, False])) is None


def test_a_class_that_no_image_has_does_not_count_in_the_mean():
    labels = np.array([[1, 0], [0, 0], [1, 0]], np.uint8)
    found = multilabel_quality(np.array([[2.0, 1.0], [3.0, -1.0], [1.0, -1.0]]), labels, ["held", "never"])
    assert found["map"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert found["per_class"][1]["average_precision"] is None


def test_an_image_is_right_when_its_whole_label_set_is():
    logits = np.array([[1.0, -1.0], [1.0, 1.0], [-1.0, -2.0], [0.0, 3.0]])
    labels = np.array([[1, 0], [1, 0], [0, 0], [0, 1]], np.uint8)
    found = multilabel_quality(logits, labels, ["a", "b"])
    assert (found["n"], found["correct"], found["accuracy"]) == (4, 3, 0.75)


@pytest.mark.parametrize("shape", [(2, 4), (3, 3), (0, 3)])
def test_logits_that_do_not_fit_are_refused(shape):
    with pytest.raises(ValueError, match="do not fit"):
        multilabel_quality(np.zeros(shape), np.zeros((min(shape[0], 2), 3), np.uint8), ["a", "b", "c"])


@settings(max_examples=20)
@given(answers(), st.integers(0, 100))
def test_a_resample_is_what_scikit_learn_measures_on_its_images(answer, seed):
    logits, labels, _ = answer
    assume(labels.any())
    drawn = np.random.RandomState(0).randint(0, len(labels), len(labels))
    others = np.random.default_rng(seed).normal(size=logits.shape)
    found = map_difference(logits, others, labels, resamples=1)
    assume(labels[drawn].any())
    held = np.flatnonzero(labels[drawn].any(axis=0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mine, theirs = (
            [metrics.average_precision_score(labels[drawn][:, k], scores[drawn][:, k]) for k in held]
            for scores in (logits, others)
        )
    assert found["low"] == found["high"] == pytest.approx(np.mean(mine) - np.mean(theirs), abs=1e-6)


def test_differences_of_mean_average_precision_are_paired_and_told_with_their_interval():
    random = np.random.default_rng(0)
    labels = (random.random((400, 5)) < 0.3).astype(np.uint8)
    good = labels * 3 + random.normal(size=labels.shape)
    worse = good + random.normal(size=labels.shape)
    found = map_difference(good, worse, labels)
    averages = [
        np.mean([metrics.average_precision_score(labels[:, k], scores[:, k]) for k in range(5)])
        for scores in (good, worse)
    ]
    assert found["value"] == pytest.approx(averages[0] - averages[1])
    assert 0 < found["low"] < found["value"] < found["high"]
    assert found["p"] <= 0.01
    assert map_difference(good, worse, labels) == found, "the same each time"
    back = map_difference(worse, good, labels)
    assert (back["value"], back["low"]) == pytest.approx((-found["value"], -found["high"]))


def test_the_interval_excludes_zero_exactly_where_p_is_below_five_percent():
    random = np.random.default_rng(3)
    labels = (random.random((60, 2)) < 0.4).astype(np.uint8)
    good = labels + random.normal(size=labels.shape)
    found = [map_difference(good, good + random.normal(size=labels.shape), labels, resamples=200) for _ in range(60)]
    below = [one["p"] < 0.05 for one in found]
    assert [one["low"] > 0 or one["high"] < 0 for one in found] == below
    assert any(below)
    assert not all(below)


def test_a_model_does_not_differ_from_itself():
    labels = np.eye(4, dtype=np.uint8).repeat(5, axis=0)
    logits = np.random.default_rng(1).normal(size=labels.shape)
    assert map_difference(logits, 2 * logits, labels) == {"value": 0, "low": 0, "high": 0, "p": 1}


def test_the_interval_covers_the_difference_of_the_whole_as_often_as_it_says():
    """Test splits drawn from a population whose difference is known: the 95 % interval holds it 19 times of 20."""
    random = np.random.default_rng(2)
    labels = (random.random((20_000, 3)) < 0.3).astype(np.uint8)
    mine, other = (2 * labels + random.normal(size=labels.shape) * noise for noise in (1.0, 1.2))
    truth = map_difference(mine, other, labels, resamples=1)["value"]
    held = 0
    for _ in range(100):
        part = random.choice(len(labels), 200, replace=False)
        found = map_difference(mine[part], other[part], labels[part], resamples=200)
        held += found["low"] <= truth <= found["high"]
    assert 87 <= held <= 100
