from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_softmax, softmax
from scipy.stats import chi2

from kdcore.measure.calibration import FEWEST, calibration, fitted, reliability
from kdcore.measure.multilabel import multilabel_quality
from kdcore.measure.quality import quality


def answers(images, classes=6, sharpness=1.0, seed=0):
    """Logits whose probabilities are true once they are divided by `sharpness`, and labels drawn from them."""
    random = np.random.default_rng(seed)
    logits = random.normal(scale=2, size=(images, classes))
    labels = np.array([random.choice(classes, p=p) for p in softmax(logits, axis=1)])
    return (sharpness * logits).astype(np.float32), labels


def nll(logits, labels, temperature):
    return -log_softmax(logits.astype(float) / temperature, axis=1)[np.arange(len(labels)), labels].mean()


@pytest.mark.parametrize("sharpness", [0.3, 1.0, 4.0])
def test_the_temperature_is_the_one_that_scipy_finds(sharpness):
    logits, labels = answers(400, sharpness=sharpness)
    best = minimize_scalar(lambda t: nll(logits, labels, np.exp(t)), bounds=(-3, 3), method="bounded")
    found = fitted(logits, labels)
    assert found.temperature == pytest.approx(np.exp(best.x), rel=1e-3)
    assert found.low < sharpness < found.high
    assert nll(logits, labels, found.temperature) <= best.fun + 1e-12
    assert found.reason == ""


def test_the_interval_ends_where_the_likelihood_has_fallen_by_half_of_chi_squared():
    logits, labels = answers(60)
    found = fitted(logits, labels)
    drops = [
        60 * (nll(logits, labels, end) - nll(logits, labels, found.temperature)) for end in (found.low, found.high)
    ]
    assert drops == pytest.approx([chi2.ppf(0.95, 1) / 2] * 2, rel=1e-3)


def test_the_interval_holds_the_true_temperature_as_often_as_it_says():
    fits = [fitted(*answers(60, classes=3, sharpness=1.7, seed=seed)) for seed in range(200)]
    held = np.mean([fit.low <= 1.7 <= fit.high for fit in fits if fit.temperature])
    assert held == pytest.approx(0.95, abs=3 * np.sqrt(0.95 * 0.05 / 200))


def test_scaling_brings_a_network_that_is_too_sure_back():
    test, validation = answers(2000, sharpness=3.0), answers(1000, sharpness=3.0, seed=1)
    told = calibration(test, validation)
    before = quality(*test, [*"abcdef"])
    assert told["temperature"] == pytest.approx(3.0, rel=0.1)
    assert told["scaled"]["ece"] < before["ece"] / 3
    assert told["scaled"]["nll"] == pytest.approx(nll(*test, told["temperature"]))
    assert told["scaled"]["nll"] < before["nll"]
    assert told["validation"] == 1000
    json.dumps(told, allow_nan=False)


def test_the_bins_hold_every_image_and_give_the_calibration_error():
    logits, labels = answers(500, sharpness=2.0)
    rows = reliability(logits, labels)
    probabilities = softmax(logits.astype(float), axis=1)
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    for place, row in enumerate(rows):
        held = (confidence > place / 15) & (confidence <= (place + 1) / 15)
        assert (row["count"], row["right"]) == (held.sum(), right[held].sum())
        assert (
            row["confidence"] is None if not held.any() else row["confidence"] == pytest.approx(confidence[held].mean())
        )
    gaps = [abs(row["right"] - row["count"] * row["confidence"]) for row in rows if row["count"]]
    assert sum(gaps) / 500 == pytest.approx(quality(logits, labels, [*"abcdef"])["ece"])


def test_no_temperature_where_all_validation_images_are_right():
    logits, labels = answers(200)
    told = calibration((logits, labels), (logits, logits.argmax(axis=1)))
    assert told["temperature"] is told["scaled"] is None
    assert "(nearly) all answers are right" in told["reason"]
    assert sum(row["count"] for row in told["bins"]) == 200


def test_no_temperature_where_answers_are_worse_than_guesses():
    logits, _ = answers(200)
    found = fitted(logits, logits.argmin(axis=1))
    assert found.temperature is found.low is None
    assert "no better than guesses" in found.reason


def test_no_temperature_from_a_handful_of_images():
    told = calibration(answers(200), answers(FEWEST - 1))
    assert told["temperature"] is None
    assert told["reason"].startswith(f"{FEWEST - 1} validation examples are too few")


def test_no_temperature_where_validation_would_tell_of_a_hidden_class():
    told = calibration(answers(200), answers(200), hidden=("3", "8"))
    assert told["temperature"] is None
    assert "class 3, 8 was hidden" in told["reason"]


def test_several_labels_are_scaled_as_single_decisions():
    random = np.random.default_rng(0)
    logits = random.normal(scale=1.5, size=(600, 4))
    labels = (random.random(logits.shape) < expit(logits)).astype(np.uint8)
    sharp = (2.5 * logits).astype(np.float32)
    told = calibration((sharp[:300], labels[:300]), (sharp[300:], labels[300:]))
    test, temperature = sharp[:300].astype(float), told["temperature"]

    def of_an_image(t):
        scaled = sharp[300:].astype(float) / t
        return np.where(labels[300:], np.logaddexp(0, -scaled), np.logaddexp(0, scaled)).sum(axis=1).mean()

    best = minimize_scalar(lambda t: of_an_image(np.exp(t)), bounds=(-3, 3), method="bounded")
    assert temperature == pytest.approx(np.exp(best.x), rel=1e-3)
    scaled = multilabel_quality(test / temperature, labels[:300], [*"abcd"])
    assert (told["scaled"]["ece"], told["scaled"]["nll"]) == pytest.approx((scaled["ece"], scaled["nll"]))
    assert sum(row["count"] for row in told["bins"]) == 300 * 4
    assert told["validation"] == 300
