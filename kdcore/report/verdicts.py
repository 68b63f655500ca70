"""Verdicts: what a comparison shows, and whether it shows anything.

Trained students are compared by seed (paired t-interval, Holm's correction over the methods that meet one
baseline), compression steps with the very file that they came from (same test images, exact McNemar). Where images
have several labels, the measure is mean average precision, and steps are judged by its bootstrap over the images.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

from kdcore.report import format
from kdcore.report.reading import Measure, MeasuredVariant, Model, RunFiles, agrees
from kdcore.report.statistics import Paired, holm, paired_interval, paired_proportions

Judgement = Literal["BEATS", "WORSE", "SAME", "INCONCLUSIVE"]

ENOUGH_SEEDS = 5
LEVEL = 0.05
SCOPE = "These verdicts hold for this teacher, this labelled subset and this test split."


def shares(dataset: Mapping[str, Any]) -> str:
    """Who saw how much, in a sentence; `dataset` as a run's plan describes it."""
    unlabelled = dataset["seen"] - dataset["labelled"]
    others = f" and {unlabelled:,} unlabelled images" if unlabelled else ""
    several = dataset.get("multilabel", False)
    labels, measure = ("labelled images", "mean average precision (mAP)") if several else ("labels", "accuracy")
    here = dataset.get("teacher", "trained") == "trained"
    teacher = f"saw all {dataset['train']:,} {labels}" if here else "was not trained in this run"
    students = f"the students {'' if here else 'saw '}{dataset['labelled']:,}{'' if here else ' ' + labels}{others}"
    return (
        f"The teacher {teacher}, {students}; "
        f"{measure} is of {dataset['test']:,} test images on which nothing was chosen."
    )


class Verdict(NamedTuple):
    """`variant` compared with `against`.

    `points` is the difference of accuracies, or of what `measure` says, in percentage points, `low` to `high` its 95 %
    interval and `p` the (adjusted) p-value; None for a single seed. `n` counts what `basis` says; `few`: fewer than
    five seeds.
    """

    variant: str
    against: str
    points: float
    low: float | None
    high: float | None
    n: int
    verdict: Judgement
    few: bool
    words: str
    p: float | None
    basis: Literal["seeds", "test images"]
    measure: Measure = "accuracy"


def judge(difference: Paired, p: float | None, margin: float) -> Judgement:
    """BEATS (interval and p tell, above zero), WORSE (below), SAME (within `margin` either way), else INCONCLUSIVE.

    Without an interval nothing can be told. `p` is given apart because it may be corrected.
    """
    if difference.low is None or difference.high is None or p is None:
        return "INCONCLUSIVE"
    if p <= LEVEL and difference.low > 0:
        return "BEATS"
    if p <= LEVEL and difference.high < 0:
        return "WORSE"
    return "SAME" if -margin <= difference.low and difference.high <= margin else "INCONCLUSIVE"


def verdicts(run: RunFiles) -> list[Verdict]:
    """All verdicts of a run: students against the student alone, soft targets against hard labels, steps
    against their parents, and chains of steps that a sweep sets beside each other."""
    trained = [row for row in run.variants if row.role in ("hard_labels", "smoothed", "distilled")]
    distilled = [row for row in trained if row.role == "distilled"]
    found = _by_seed(run, trained, "alone") + _by_seed(run, distilled, "hard_labels")
    found += [verdict for row in run.variants if row.parent for verdict in _step(run, row)]
    return found + _chains(run)


def own(found: Iterable[Verdict]) -> dict[str, Verdict]:
    """The verdict of each variant's row: against the student alone, or against its parent file."""
    return {verdict.variant: verdict for verdict in reversed(list(found))}


def _by_seed(run: RunFiles, rows: list[MeasuredVariant], role: str) -> list[Verdict]:
    pairs: dict[str, list[tuple[MeasuredVariant, MeasuredVariant]]] = {}
    for row in rows:
        baseline = next((one for one in run.variants if one.role == role and agrees(row.values, one.values)), None)
        if baseline:
            pairs.setdefault(baseline.name, []).append((row, baseline))
    return [verdict for family in pairs.values() for verdict in _family(family, _margin(run))]


def _family(family: list[tuple[MeasuredVariant, MeasuredVariant]], margin: float) -> list[Verdict]:
    """Several methods against one baseline."""
    matched = [_matched(row, baseline) for row, baseline in family]
    differences = [_difference(seeds) for seeds in matched]
    told = [difference.p for difference in differences if difference.p is not None]
    corrected = iter(holm(told))
    made = []
    for (row, baseline), seeds, difference in zip(family, matched, differences, strict=True):
        p = None if difference.p is None else next(corrected)
        measure = row.first.measure
        made.append(_verdict(row.name, baseline.name, difference, p, margin, len(seeds), "seeds", measure))
    return made


def _matched(row: MeasuredVariant, baseline: MeasuredVariant) -> list[tuple[Model, Model]]:
    both = zip(row.models, baseline.models, strict=False)
    return [(mine, other) for mine, other in both if mine and other]


def _difference(seeds: list[tuple[Model, Model]]) -> Paired:
    mine, others = ([model.score for model in models] for models in zip(*seeds, strict=True))
    return paired_interval(mine, others, resolution=1 / seeds[0][0].quality["n"])


def _step(run: RunFiles, row: MeasuredVariant) -> list[Verdict]:
    parent = next((one for one in run.variants if one.name == row.parent), None)
    if parent is None or run.labels is None:
        return []
    if row.first.measure == "mAP":
        told = row.first.quality["against_parent"]
        difference = Paired(told["value"], told["low"], told["high"], told["p"])
        n = row.first.quality["n"]
        return [_verdict(row.name, parent.name, difference, difference.p, _margin(run), n, "test images", "mAP")]
    right, parent_right = row.first.answers == run.labels, parent.first.answers == run.labels
    gained, lost = int(np.sum(right & ~parent_right)), int(np.sum(parent_right & ~right))
    difference = paired_proportions(gained, lost, len(right))
    return [_verdict(row.name, parent.name, difference, difference.p, _margin(run), len(right), "test images")]


def _chains(run: RunFiles) -> list[Verdict]:
    """The ends of the chains of steps that a sweep of `compress` names, by seed, against the end of the first."""
    chains = run.recipe.get("sweep", {}).get("compress", [])
    parents = {row.parent for row in run.variants}
    ends = [row for row in run.variants if row.parent and row.name not in parents and "compress" in row.values]
    pairs: dict[str, list[tuple[MeasuredVariant, MeasuredVariant]]] = {}
    for row in ends:
        others = [one for one in ends if _without_chain(one) == _without_chain(row)]
        first = min(others, key=lambda one: _place(chains, one.values["compress"]))
        if first is not row:
            pairs.setdefault(first.name, []).append((row, first))
    return [verdict for family in pairs.values() for verdict in _family(family, _margin(run))]


def _place(chains: list[Any], chain: Any) -> int:
    return chains.index(chain) if chain in chains else len(chains)


def _without_chain(row: MeasuredVariant) -> dict[str, Any]:
    return {path: value for path, value in row.values.items() if path != "compress"}


def _margin(run: RunFiles) -> float:
    return run.recipe["measure"]["margin"] / 100


def _verdict(
    variant: str,
    against: str,
    difference: Paired,
    p: float | None,
    margin: float,
    n: int,
    basis: Literal["seeds", "test images"],
    measure: Measure = "accuracy",
) -> Verdict:
    verdict = judge(difference, p, margin)
    value, low, high = (None if part is None else 100 * part for part in difference[:3])
    assert value is not None
    counted = format.plural(n, basis.removesuffix("s"))
    text = _words(verdict, against, (value, low, high), 100 * margin, counted, " of mAP" * (measure == "mAP"))
    if difference.p is not None and p is not None and difference.p <= LEVEL < p:
        text += f"; p = {p:.2g} after Holm's correction"
    few = basis == "seeds" and n < ENOUGH_SEEDS
    return Verdict(variant, against, value, low, high, n, verdict, few, text, p, basis, measure)


def _words(
    verdict: Judgement,
    against: str,
    points: tuple[float, float | None, float | None],
    margin: float,
    counted: str,
    of: str,
) -> str:
    """The verdict in a sentence; `of`: what the points are points of, where it is not accuracy."""
    value, low, high = points
    name = f"the {against}" if against.startswith(("student", "teacher")) else against
    if low is None or high is None:
        return f"Cannot be told apart from {name}: {format.points(value)}{of} ({counted} shows no spread)"
    if verdict == "BEATS":
        return f"Beats {name} by {value:.1f} points{of} ({low:.1f} to {high:.1f}, {counted})"
    if verdict == "WORSE":
        return f"Worse than {name} by {-value:.1f} points{of} ({-high:.1f} to {-low:.1f}, {counted})"
    interval = f"{format.points(value)}{of} ({format.signed(low)} to {format.signed(high)}, {counted})"
    if verdict == "SAME":
        return f"The same as {name} within {margin:g} point{'s' * (margin != 1)}: {interval}"
    return f"Cannot be told apart from {name}: {interval}"
