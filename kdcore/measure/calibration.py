"""Calibration: whether confidence equals accuracy, and the one temperature that corrects it (Guo et al. 2017).

Where an image may have several labels it is judged by its single decisions, each an answer of two classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np

from kdcore.measure.quality import log_softmax
from kdcore.measure.shares import ECE_BINS, bin_of, calibration_error

Answers = tuple[np.ndarray, np.ndarray]  # logits float (N, K); labels int (N,), or of several an image 0 and 1 (N, K)

FEWEST = 50  # validation images that a temperature is fitted on
COLDEST, HOTTEST = 0.05, 20.0
PRECISION = 1e-6  # of the logarithm of the temperature
DROP = NormalDist().inv_cdf(0.975) ** 2 / 2  # of the log likelihood, at the ends of a 95 % interval


class Fit(NamedTuple):
    """A fitted temperature with its 95 % interval, or the reason why there is none."""

    reason: str
    temperature: float | None = None
    low: float | None = None
    high: float | None = None


def calibration(test: Answers, validation: Answers, hidden: Sequence[str] = ()) -> dict[str, Any]:
    """The reliability diagram on the test images, and what a temperature makes of it, as a JSON document.

    `bins`: see `reliability`; of single decisions where images have several labels. `temperature`: fitted
    on validation by maximum likelihood, and `temperature_low` to `temperature_high` its 95 % interval; None, with the
    `reason` in words, where there is none: too few validation images, a likelihood without a maximum within 0.05 to 20,
    or classes that were `hidden` from the student, which validation would reveal. `validation`: how many images it
    is fitted on. `scaled`: with the test logits divided by it `ece` (0..1), `nll` (nats an image) and `bins`, or None.
    No answer changes: the highest logit stays the highest.
    """
    logits, labels = _single(*test)
    reason = _unfit(len(validation[1]), hidden)
    found = Fit(reason) if reason else fitted(*_single(*validation))
    made: dict[str, Any] = {
        "bins": reliability(logits, labels),
        "temperature": found.temperature,
        "temperature_low": found.low,
        "temperature_high": found.high,
        "reason": found.reason,
        "validation": len(validation[1]),
        "scaled": None,
    }
    if found.temperature is not None:
        made["scaled"] = _scaled(logits.astype(np.float64) / found.temperature, labels, len(test[1]))
    return made


def _single(logits: np.ndarray, labels: np.ndarray) -> Answers:
    """Answers with one right class each. Of several labels an image, yes or no for each image and class:
    (N * K, 2) and (N * K,), since a softmax over 0 and z is the sigmoid of z."""
    if labels.ndim == 1:
        return logits, labels
    flat = logits.ravel()
    return np.stack([np.zeros_like(flat), flat], axis=1), labels.ravel().astype(np.int64)


def reliability(logits: np.ndarray, labels: np.ndarray, bins: int = ECE_BINS) -> list[dict[str, Any]]:
    """The images by confidence, the probability of the predicted class, in bins of equal width from 0 to 1.

    A row a bin, as in `calibration_error`: `count` of images, `right` of them, and their mean `confidence`, None in an
    empty bin. The gaps between right / count and confidence, weighted by count, are the expected calibration error.
    """
    confidence, right = _confidence(logits, labels)
    place = bin_of(confidence, bins)
    counts, hits, sums = (
        np.bincount(place, weights=weights, minlength=bins) for weights in (None, right.astype(np.float64), confidence)
    )
    return [
        {"count": int(count), "right": int(hit), "confidence": float(total / count) if count else None}
        for count, hit, total in zip(counts, hits, sums, strict=True)
    ]


def fitted(logits: np.ndarray, labels: np.ndarray) -> Fit:
    """The T that minimises the mean negative log likelihood of softmax(logits / T); logits (N, K), labels int (N,).

    In 1/T the log likelihood is concave and its derivative monotone: the mean, over the images, of the label's logit
    less the expected one. Where that changes its sign is the best T, found by bisection on log T; its interval ends
    where the log likelihood is lower by half of chi-squared's 95 % quantile (profile likelihood), or with the search.
    """
    wide = logits.astype(np.float64)
    rows = np.arange(len(labels))
    behind = wide[rows, labels][:, None] - wide  # how far each class is behind the label's

    def colder(log_temperature: float) -> bool:
        """Whether a lower temperature is likelier."""
        probabilities = np.exp(log_softmax(wide * math.exp(-log_temperature)))
        return bool((probabilities * behind).sum() >= 0)

    def likelihood(log_temperature: float) -> float:
        return float(log_softmax(wide * math.exp(-log_temperature))[rows, labels].sum())

    low, high = math.log(COLDEST), math.log(HOTTEST)
    if colder(low):
        return Fit(f"the likelihood has no maximum above T = {COLDEST:g}, as where (nearly) all answers are right")
    if not colder(high):
        return Fit(f"the likelihood has no maximum below T = {HOTTEST:g}, as where answers are no better than guesses")
    best = _change(colder, low, high)
    least = likelihood(best) - DROP
    start = _change(lambda place: likelihood(place) >= least, low, best)
    end = _change(lambda place: likelihood(place) < least, best, high)
    return Fit("", math.exp(best), math.exp(start), math.exp(end))


def _change(holds: Callable[[float], bool], low: float, high: float) -> float:
    """Where a condition that does not hold at `low` and does at `high` begins to hold: one of the ends if nowhere."""
    while high - low > PRECISION:
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return (low + high) / 2


def _unfit(images: int, hidden: Sequence[str]) -> str:
    """Why validation does not serve; empty where it does."""
    if hidden:
        return f"class {', '.join(hidden)} was hidden in training but occurs in validation"
    if images < FEWEST:
        return f"{images} validation examples are too few to fit a temperature; {FEWEST} are needed"
    return ""


def _scaled(logits: np.ndarray, labels: np.ndarray, images: int) -> dict[str, Any]:
    likelihood = log_softmax(logits)[np.arange(len(labels)), labels]
    return {
        "ece": calibration_error(*_confidence(logits, labels)),
        "nll": float(-likelihood.sum() / images),
        "bins": reliability(logits, labels),
    }


def _confidence(logits: np.ndarray, labels: np.ndarray) -> Answers:
    """The predicted class's probability (N,), and whether it is the right one, bool (N,)."""
    return np.exp(log_softmax(logits).max(axis=1)), logits.argmax(axis=1) == labels
