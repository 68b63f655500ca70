from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics
from torch.nn import functional

from kdcore.measure.quality import calibration_error, hidden_recall, log_softmax, quality, top_k

finite = st.floats(-30, 30, width=32)


@st.composite
def answers(draw):
    """Logits of N images for K classes, and labels."""
    images, classes = draw(st.integers(1, 30)), draw(st.integers(2, 8))
    logits = draw(hnp.arrays(np.float32, (images, classes), elements=finite))
    labels = draw(hnp.arrays(np.int64, images, elements=st.integers(0, classes - 1)))
    return logits, labels, [f"class {index}" for index in range(classes)]


@given(answers())
def test_measures_agree_with_scikit_learn(answer):
    logits, labels, classes = answer
    found = quality(logits, labels, classes)
    predicted, everything = logits.argmax(axis=1), range(len(classes))
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        labels, predicted, labels=everything, zero_division=0
    )
    assert found["n"] == len(labels)
    assert found["correct"] == metrics.accuracy_score(labels, predicted, normalize=False)
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(labels, predicted))
    assert found["macro_precision"] == pytest.approx(precision.mean())
    assert found["macro_recall"] == pytest.approx(recall.mean())
    assert found["macro_f1"] == pytest.approx(f1.mean())
    assert found["confusion"] == metrics.confusion_matrix(labels, predicted, labels=everything).tolist()
    assert [row["class"] for row in found["per_class"]] == classes
    for name, values in (("precision", precision), ("recall", recall), ("f1", f1), ("n", support)):
        assert [row[name] for row in found["per_class"]] == pytest.approx(values.tolist())
    json.dumps(found, allow_nan=False)


@given(answers())
def test_likelihood_agrees_with_torch(answer):
    logits, labels, classes = answer
    expected = functional.cross_entropy(torch.from_numpy(logits).double(), torch.from_numpy(labels)).item()
    assert quality(logits, labels, classes)["nll"] == pytest.approx(expected, rel=1e-9, abs=1e-12)
    np.testing.assert_allclose(np.exp(log_softmax(logits)).sum(axis=1), 1, rtol=1e-12)


@given(st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_top_k_agrees_with_scikit_learn(k, seed):
    generator = np.random.default_rng(seed)
    logits = generator.permuted(np.tile(np.arange(6.0), (20, 1)), axis=1)  # no two alike
    labels = generator.integers(0, 6, 20)
    expected = metrics.top_k_accuracy_score(labels, logits, k=k, labels=range(6)) if k < 6 else 1.0
    assert top_k(logits, labels, k) == pytest.approx(expected)


@given(answers())
def test_the_first_of_the_top_is_what_is_predicted(answer):
    logits, labels, classes = answer
    found = quality(logits, labels, classes)
    assert top_k(logits, labels, 1) == pytest.approx(found["accuracy"])
    assert found["top5"] >= found["accuracy"]
    if len(classes) <= 5:
        assert found["top5"] == 1


def test_equal_logits_count_in_class_order():
    logits = np.zeros((3, 4))
    assert top_k(logits, np.array([0, 1, 2]), 2) == pytest.approx(2 / 3)


def test_calibration_error_worked_out_by_hand():
    # Bins of 1/15: 0.95 and 0.99 share the last, 0.5 is in (7/15, 8/15], 0.2 is the upper edge of the third.
    confidence = np.array([0.95, 0.99, 0.5, 0.2])
    right = np.array([True, False, True, False])
    expected = (2 / 4) * abs(0.5 - 0.97) + (1 / 4) * abs(1 - 0.5) + (1 / 4) * abs(0 - 0.2)
    assert calibration_error(confidence, right) == pytest.approx(expected)


def test_calibration_error_of_a_bins_upper_edge():
    together = calibration_error(np.array([0.5, 0.45]), np.array([True, False]), bins=2)  # both in (0, 0.5]
    assert together == pytest.approx(abs(0.5 - 0.475))
    apart = calibration_error(np.array([0.5, 0.55]), np.array([True, False]), bins=2)
    assert apart == pytest.approx((0.5 + 0.55) / 2)


@given(
    hnp.arrays(np.float64, st.integers(1, 40), elements=st.floats(0.001, 1)),
    st.integers(0, 2**32 - 1),
)
def test_calibration_error_agrees_with_its_definition(confidence, seed):
    right = np.random.default_rng(seed).random(len(confidence)) < 0.5
    expected = 0.0
    for index in range(15):
        inside = [i for i, value in enumerate(confidence) if min(math.ceil(value * 15), 15) - 1 == index]
        if inside:
            gap = abs(np.mean(right[inside]) - np.mean(confidence[inside]))
            expected += len(inside) / len(confidence) * gap
    assert calibration_error(confidence, right) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite_are_refused(bad):
    logits = np.zeros((2, 3))
    logits[1, 2] = bad
    with pytest.raises(ValueError, match="not finite"):
        quality(logits, np.array([0, 1]), ["a", "b", "c"])


@pytest.mark.parametrize("shape", [(2, 4), (3, 3), (0, 3)])
def test_logits_that_do_not_fit_are_refused(shape):
    with pytest.raises(ValueError, match="do not fit"):
        quality(np.zeros(shape), np.zeros(min(shape[0], 2), int), ["a", "b", "c"])


def test_the_correction_of_a_hidden_class_worked_out_by_hand():
    # Class 1 is never predicted. On validation it needs +1, +2, +5 and +6, and two images are of it: the bias is 3.5.
    validation = np.array([[1.0, 0.0], [2.0, 0.0], [5.0, 0.0], [6.0, 0.0]])
    test = np.array([[3.0, 0.0], [4.0, 0.0], [0.0, 1.0], [9.0, 9.5], [7.0, 0.0]])
    labels = np.array([1, 1, 1, 1, 0])
    found = hidden_recall((test, labels), (validation, np.array([1, 1, 0, 0])), index=1)
    assert found == {"recall": 2 / 4, "recall_corrected": 3 / 4}


@given(answers(), st.data())
def test_the_corrected_class_is_predicted_as_often_as_it_occurs(answer, data):
    logits, labels, classes = answer
    index = data.draw(st.integers(0, len(classes) - 1))
    needed = np.delete(logits, index, axis=1).max(axis=1).astype(float) - logits[:, index]
    found = hidden_recall((logits, np.full(len(labels), index)), (logits, labels), index)
    if np.diff(np.sort(needed)).min(initial=1) > 1e-6:  # equal images cannot be told apart
        assert found["recall_corrected"] == pytest.approx((labels == index).mean())


def test_a_class_without_test_images_has_no_recall():
    logits = np.eye(2)
    found = hidden_recall((logits, np.array([0, 0])), (logits, np.array([0, 0])), index=1)
    assert found == {"recall": 0.0, "recall_corrected": 0.0}
