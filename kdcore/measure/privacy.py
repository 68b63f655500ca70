"""Membership inference by the loss: whether an image was in a model's training set.

Yeom et al. 2018 ("Privacy risk in machine learning", section 3.3): an image with a low loss counts as a member.
The result is the area under the ROC curve of that attack, which does not depend on a threshold.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np

from kdcore.data.ordering import label_set_order, stratified_order
from kdcore.data.splits import LABELLED
from kdcore.data.types import Dataset

MOST = 2000  # images that are asked for their losses: more cost time and tell little
FEWEST = 20  # members, or non-members, below which no interval holds
FALSE_POSITIVES = 0.01
_Z = NormalDist().inv_cdf(0.975)


class Members(NamedTuple):
    """Training images that the attack is tried on: `images` int64 (M,), their places among all training images,
    `labels` (M,) or (M, K), and the model's `losses` float32 (M,); `test`: those on all test images, float32 (T,)."""

    images: np.ndarray
    labels: np.ndarray
    losses: np.ndarray
    test: np.ndarray


class Area(NamedTuple):
    """An area under the ROC curve in 0..1, or a difference of two, with its 95 % interval."""

    value: float
    low: float
    high: float


def members_of(dataset: Dataset, pool: np.ndarray, trained_on: np.ndarray) -> np.ndarray:
    """Which of the images `trained_on` stand for all of them: at most 2,000, int64 in one order whoever asks.

    `pool`: all that anybody may be trained on, int64. The order is that in which labels are given out with data.seed 0,
    so the few labelled images of a student are among those of the teacher, which has seen the whole pool.
    """
    labels = np.asarray(dataset.train_labels)
    ordered = label_set_order if dataset.multilabel else stratified_order
    order = pool[ordered(labels[pool], (0, LABELLED))]
    return order[np.isin(order, trained_on)][:MOST]


def losses(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The negative log likelihood of each image's label, or label set, in nats: float32 (N,).

    `logits` (N, K); `labels` int (N,), or 0 and 1 (N, K). Worked out from the distance of the label to the other
    classes, so that answers that are all but certain do not become equal.
    """
    wide = logits.astype(np.float64)
    if labels.ndim == 2:
        found = np.logaddexp(0, np.where(labels.astype(bool), -wide, wide)).sum(axis=1)
    else:
        rows = np.arange(len(labels))
        own = wide[rows, labels]
        wide[rows, labels] = -np.inf
        highest = wide.max(axis=1)
        rest = highest + np.log(np.exp(wide - highest[:, None]).sum(axis=1))
        found = np.logaddexp(0, rest - own)
    return found.astype(np.float32)


def non_members(known: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Which test images, with these `labels`, are compared with members with the labels `known`: bool (N,).

    Those of a class that no member has are left out: whether a class was hidden from a model is another question.
    """
    return np.ones(len(labels), dtype=bool) if labels.ndim == 2 else np.isin(labels, known)


def privacy(members: np.ndarray, others: np.ndarray) -> dict[str, Any]:
    """The attack on a model with these losses of `members` (M,) and of `others` (N,), test images, as a JSON document.

    `auc`, `low`, `high`: see `area`; above 0.5 members are known. `members`, `others`: M and N. `advantage`: the most
    that the TPR is above the FPR, over all thresholds; chosen on the same images, it is above 0 also where nothing is
    known. `found_at_1`: the TPR at 1 % FPR, None for fewer than 100 non-members. All None, with the `reason` in words,
    for fewer than 20 of either.
    """
    counts = {"members": len(members), "others": len(others)}
    few = next((f"{count} {name}" for name, count in counts.items() if count < FEWEST), None)
    if few:
        return missing(f"{few} are too few to measure; {FEWEST} are needed") | counts
    found = area(members, others)
    true, false = _rates(members, others)
    enough = len(others) * FALSE_POSITIVES >= 1
    return {
        "auc": found.value,
        "low": found.low,
        "high": found.high,
        **counts,
        "advantage": float((true - false).max()),
        "found_at_1": float(true[false <= FALSE_POSITIVES].max()) if enough else None,
        "reason": "",
    }


def missing(reason: str) -> dict[str, Any]:
    """The same document of a model that cannot be asked."""
    empty = dict.fromkeys(("auc", "low", "high", "members", "others", "advantage", "found_at_1"))
    return {**empty, "reason": reason}


def area(members: np.ndarray, others: np.ndarray) -> Area:
    """How often a random member's loss is below a random non-member's, ties counting half, with DeLong's interval.

    DeLong, DeLong and Clarke-Pearson 1988, by ranks (Sun and Xu 2014). Where all members are on one side its variance
    is 0; the bound is then by the rule of three, over the fewer of the two. Raises ValueError for fewer than two each.
    """
    own, theirs = _placements(members, others)
    value = float(own.mean())
    if value in (0.0, 1.0):
        reach = min(1.0, 3 / min(len(members), len(others)))
        return Area(value, max(0.0, value - reach), min(1.0, value + reach))
    half = _Z * _error(own, theirs)
    return Area(value, max(0.0, value - half), min(1.0, value + half))


def area_difference(
    members: np.ndarray, others: np.ndarray, their_members: np.ndarray, their_others: np.ndarray
) -> Area:
    """How much more one model leaks than another, on the same images in the same order: DeLong's paired interval.

    Negative where the first leaks less. Raises ValueError where the images cannot be the same, or are fewer than
    two each.
    """
    if members.shape != their_members.shape or others.shape != their_others.shape:
        raise ValueError("two models can only be compared on the same examples")
    mine, yours = _placements(members, others), _placements(their_members, their_others)
    own, theirs = mine[0] - yours[0], mine[1] - yours[1]
    value, half = float(own.mean()), _Z * _error(own, theirs)
    return Area(value, value - half, value + half)


def _placements(members: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The share of non-members whose loss is above each member's (M,), and of members below each non-member's (N,)."""
    if min(len(members), len(others)) < 2:
        raise ValueError("at least two members and two non-members are needed")
    sorted_members, sorted_others = np.sort(members), np.sort(others)
    above = _halfway(sorted_others, members)
    below = _halfway(sorted_members, others)
    return 1 - above / len(others), below / len(members)


def _halfway(ordered: np.ndarray, values: np.ndarray) -> np.ndarray:
    """How many of `ordered` are below each value, equal ones counting half."""
    return (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")) / 2


def _error(own: np.ndarray, theirs: np.ndarray) -> float:
    return math.sqrt(float(own.var(ddof=1)) / len(own) + float(theirs.var(ddof=1)) / len(theirs))


def _rates(members: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares of the members and of the non-members whose loss is at or below each threshold, beginning with none."""
    thresholds = np.unique(np.concatenate([members, others]))
    true, false = (np.searchsorted(np.sort(values), thresholds, "right") / len(values) for values in (members, others))
    return np.append(0.0, true), np.append(0.0, false)
