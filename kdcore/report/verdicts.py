"""Verdicts: what a comparison shows, and whether it shows anything.

Trained students are compared by seed (paired t-interval), compression steps with the very file that they came from
(same test images, McNemar's test and the interval that inverts it). Where images have several labels, the measure is
mean average precision, and steps are judged by its bootstrap over the images; of language models it is bits a
character, and the bootstrap is over the documents. Methods that meet one baseline are
corrected after Holm: p, and the interval to the same level, so that a verdict never contradicts its interval.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

from kdcore import inputs
from kdcore.report import format
from kdcore.report.quality import SCALES
from kdcore.report.reading import Measure, MeasuredVariant, Model, RunFiles, agrees
from kdcore.report.statistics import CONFIDENCE, Corrected, Paired, holm, paired_interval, paired_proportions

Over = Literal["seeds", "test examples", "test documents"]
Judgement = Literal["BEATS", "WORSE", "SAME", "INCONCLUSIVE"]
WORDS: dict[Judgement, str] = {
    "BEATS": "better", "WORSE": "worse", "SAME": "equivalent", "INCONCLUSIVE": "inconclusive",
}  # fmt: skip
NOT_JUDGED = "not judged: one seed"

ENOUGH_SEEDS = 5


def scope(dataset: Mapping[str, Any]) -> str:
    """What verdicts hold for; `dataset` is a run's plan's."""
    what = "model" if _compressed(dataset) or _foreign(dataset) else "teacher"
    return f"These verdicts hold for this {what}, this labelled subset and this test split."


def _compressed(dataset: Mapping[str, Any]) -> bool:
    """Whether the run started from a trained model, and trained no student."""
    return dataset.get("start") == "model"


def _foreign(dataset: Mapping[str, Any]) -> bool:
    """Whether a person's own code in Python has made the models, and chosen who sees which images."""
    return dataset.get("start") == "python"


def shares(dataset: Mapping[str, Any]) -> str:
    """How much teacher and students were trained on, and what accuracy is measured on; `dataset` is a run's plan's."""
    unlabelled = dataset["seen"] - dataset["labelled"]
    kind = inputs.of(dataset.get("shape", (1, 1, 1)))
    others = f" and {unlabelled:,} unlabelled {kind.many}" if unlabelled else ""
    labelled = f"{dataset['labelled']:,} labelled{others or f' {kind.many}'}"
    if varied := dataset.get("labelled_of_points"):
        labelled = f"{', '.join(f'{count:,}' for count in varied[:-1])} or {varied[-1]:,} labelled {kind.many}"
    judged = {"accuracy": "Accuracy is", "bits": "Bits per character are"}[kind.judged_by]
    measured = "Mean average precision (mAP) is" if dataset.get("multilabel", False) else judged
    if _foreign(dataset):
        return f"Python code made the models, and chose the {dataset['test']:,} {kind.many} that judge their accuracy."
    here = dataset.get("teacher", "trained") == "trained"
    teacher = f"on all {dataset['train']:,} labelled {kind.many}" if here else "outside this run"
    trained = f"The teacher was trained {teacher}, the students on"
    if _compressed(dataset):
        trained = f"The original model was trained outside this run; steps that need {kind.many} used"
    return (
        f"{trained} {labelled}. "
        f"{measured} measured on {dataset['test']:,} held-out test {kind.many}, not used for selection."
    )


class Basis(NamedTuple):
    """What a difference was measured on: `n` of `what`; `compared` methods meet one baseline."""

    n: int
    what: Over
    measure: Measure = "accuracy"
    compared: int = 1


class Verdict(NamedTuple):
    """`variant` compared with `against`.

    `points` is the difference of accuracies, or of what `measure` says, in percentage points, or how many bits a
    character the variant takes fewer. `low` to `high` its interval and `p` the p-value; None for a single seed. `n`
    counts what `basis` says; `few`: fewer than five seeds. The interval is one of 95 %; where `compared` methods meet
    one baseline, p and interval are corrected after Holm.
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
    basis: Over
    measure: Measure = "accuracy"
    compared: int = 1

    @property
    def label(self) -> str:
        """better, worse, equivalent, inconclusive, or that one seed is not judged: the word for it everywhere."""
        return NOT_JUDGED if self.low is None else WORDS[self.verdict]

    @property
    def short(self) -> str:
        """The word with its reference: "better than student alone", "not judged: one seed"."""
        joint = {"BEATS": "than", "WORSE": "than", "SAME": "to", "INCONCLUSIVE": "against"}[self.verdict]
        return NOT_JUDGED if self.low is None else f"{self.label} {joint} {self.against}"


def judge(difference: Paired, margin: float) -> Judgement:
    """BEATS (the interval lies above zero), WORSE (below), SAME (within `margin` either way), else INCONCLUSIVE.

    Without an interval, as for a single seed, it is INCONCLUSIVE.
    """
    if difference.low is None or difference.high is None:
        return "INCONCLUSIVE"
    if difference.low > 0:
        return "BEATS"
    if difference.high < 0:
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


def between(run: RunFiles, variant: str, against: str) -> Verdict:
    """One row against another by seed, as the only comparison. Raises LookupError for a row that is not there."""
    rows = {row.name: row for row in run.variants}
    return _family([(rows[variant], rows[against])], _margin(run))[0]


def the(variant: str) -> str:
    """A variant's name within a sentence: "the student alone", "int8"."""
    return f"the {variant}" if variant.startswith(("student", "teacher", "original")) else variant


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
    raw = [_difference(seeds) for seeds in matched]
    p_values = [one.p for one in raw if one.p is not None]
    corrected = iter(holm(p_values))
    made = []
    for (row, baseline), seeds, alone in zip(family, matched, raw, strict=True):
        difference = alone if alone.p is None else _corrected(seeds, next(corrected))
        basis = Basis(len(seeds), "seeds", row.first.judged_by, max(1, len(p_values)))
        made.append(_verdict(row.name, baseline.name, difference, margin, basis))
    return made


def _matched(row: MeasuredVariant, baseline: MeasuredVariant) -> list[tuple[Model, Model]]:
    both = zip(row.models, baseline.models, strict=False)
    return [(mine, other) for mine, other in both if mine and other]


def _difference(seeds: list[tuple[Model, Model]], confidence: float = CONFIDENCE) -> Paired:
    mine, others = ([model.merit for model in models] for models in zip(*seeds, strict=True))
    return paired_interval(mine, others, 1 / seeds[0][0].quality["n"], confidence)


def _corrected(seeds: list[tuple[Model, Model]], correction: Corrected) -> Paired:
    return _difference(seeds, correction.confidence)._replace(p=correction.p)


def _step(run: RunFiles, row: MeasuredVariant) -> list[Verdict]:
    parent = next((one for one in run.variants if one.name == row.parent), None)
    if parent is None or run.labels is None:
        return []
    if against := row.first.quality.get("against_parent"):
        difference = Paired(against["value"], against["low"], against["high"], against["p"])
        quality, measure = row.first.quality, row.first.judged_by
        over: Over = "test documents" if "documents" in quality else "test examples"
        basis = Basis(quality.get("documents", quality["n"]), over, measure)
        return [_verdict(row.name, parent.name, difference, _margin(run), basis)]
    right, parent_right = row.first.answers == run.labels, parent.first.answers == run.labels
    return [on_images(row.name, parent.name, right, parent_right, _margin(run))]


def on_images(variant: str, against: str, right: Any, other: Any, margin: float) -> Verdict:
    """One model against another on the same test images: `right`, `other` say for each whether the answer is right.

    `margin`: the difference of shares that counts as none.
    """
    gained, lost = int(np.sum(right & ~other)), int(np.sum(other & ~right))
    difference = paired_proportions(gained, lost, len(right))
    return _verdict(variant, against, difference, margin, Basis(len(right), "test examples"))


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


def _verdict(variant: str, against: str, difference: Paired, margin: float, basis: Basis) -> Verdict:
    verdict = judge(difference, margin)
    scale = SCALES[basis.measure].factor
    value, low, high = (None if part is None else scale * part for part in difference[:3])
    assert value is not None
    text = _words(verdict, against, (value, low, high), scale * margin, _basis_words(basis, difference.p), basis)
    few = basis.what == "seeds" and basis.n < ENOUGH_SEEDS
    return Verdict(
        variant, against, value, low, high, basis.n, verdict, few, text, difference.p, basis.what, basis.measure,
        basis.compared,
    )  # fmt: skip


def _basis_words(basis: Basis, p: float | None) -> str:
    counted = format.plural(basis.n, basis.what.removesuffix("s"))
    if p is None:
        return counted
    words = f"{format.p_value(p)}, {counted}"
    return words if basis.compared == 1 else f"{words}, Holm's correction for {basis.compared} comparisons"


def _words(
    verdict: Judgement,
    against: str,
    points: tuple[float, float | None, float | None],
    margin: float,
    counted: str,
    basis: Basis,
) -> str:
    """The verdict in a sentence."""
    value, low, high = points
    unit, fine = SCALES[basis.measure].unit, SCALES[basis.measure].decimals
    name = the(against)
    if low is None or high is None:
        return f"{NOT_JUDGED.capitalize()} ({format.signed(value, fine)} {unit} against {name})"
    if verdict == "BEATS":
        return f"Better than {name} by {value:.{fine}f} {unit} ({low:.{fine}f} to {high:.{fine}f}, {counted})"
    if verdict == "WORSE":
        return f"Worse than {name} by {-value:.{fine}f} {unit} ({-high:.{fine}f} to {-low:.{fine}f}, {counted})"
    signed = [format.signed(part, fine) for part in points]
    interval = f"{signed[0]} {unit} ({signed[1]} to {signed[2]}, {counted})"
    if verdict == "SAME":
        within = f"{margin:g} {unit}" if basis.measure == "bits" else f"{margin:g} point{'s' * (margin != 1)}"
        return f"Equivalent to {name} within {within}: {interval}"
    return f"Inconclusive: no significant difference from {name}, {interval}"
