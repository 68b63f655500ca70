"""What compression did to robustness: accuracy on corrupted images, by corruption and severity, and class by class.

Models of one protocol saw the very same corrupted images, so their differences are paired by image: Tango's
interval for one condition, Student's t over the images' own means where several conditions are averaged. Where images
have several labels nothing is kept by image, and differences of mean average precision have no interval.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kdcore.files import read_json
from kdcore.inputs.kind import SEVERITIES
from kdcore.measure.robustness import FILE, unpacked
from kdcore.report import format
from kdcore.report.reading import RunFiles, agrees
from kdcore.report.statistics import Interval, Paired, paired_interval, paired_proportions, wilson
from kdcore.workspace.workspace import Workspace

CLEAN = "clean"


class Robust(NamedTuple):
    """A variant's robustness: the first seed's file, which is the one that is deployed.

    `clean`, `corrupted` (the plain mean) and `scores` (five severities by corruption) are accuracies, or mean average
    precisions where `measure` says so. `classes`: as in the document. `right`: bool (1 + 25, N), the clean images
    first; None where images have several labels. `parent` and `teacher` name other variants.
    """

    run: str
    variant: str
    role: str
    key: str
    parent: str | None
    teacher: str | None
    measure: str
    n: int
    clean: float
    corrupted: float
    scores: dict[str, tuple[float, ...]]
    classes: tuple[dict[str, Any], ...]
    right: NDArray[np.bool_] | None
    protocol: dict[str, Any]

    @property
    def drop(self) -> float:
        """How much of the clean score is lost on average, a fraction."""
        return self.clean - self.corrupted

    def interval(self, corruption: str, severity: int) -> Interval:
        """Score in one condition ("clean" at 0) with Wilson's interval; without bounds for mean average precision."""
        value = self.clean if corruption == CLEAN else self.scores[corruption][severity - 1]
        return wilson(round(value * self.n), self.n) if self.right is not None else Interval(value, None, None)


class Against(NamedTuple):
    """A variant against another one on the same images; fractions, above zero is better.

    `clean` and `corrupted`: differences of the scores. `beyond`: how much more it lost under corruption than on clean
    images, `corrupted` - `clean`; below zero, it became less robust than its clean accuracy says.
    """

    variant: str
    against: str
    measure: str
    clean: Paired
    corrupted: Paired
    beyond: Paired

    @property
    def words(self) -> str:
        """int8 against pruned 50 %: −1.2 points on corrupted images (−1.9 to −0.5), −0.2 on clean images."""
        of = " of mAP" * (self.measure == "mAP")
        changed = format.points(100 * self.corrupted.value) + of
        if self.corrupted.low is not None and self.corrupted.high is not None:
            bounds = (format.signed(100 * bound) for bound in (self.corrupted.low, self.corrupted.high))
            changed += f" on corrupted inputs ({' to '.join(bounds)})"
        else:
            changed += " on corrupted inputs"
        return (
            f"{self.variant} against {self.against}: {changed}, {format.signed(100 * self.clean.value)} on clean inputs"
        )


class ClassChange(NamedTuple):
    """A class of `n` images: differences of its recall (or average precision), fractions, None where it has no images.

    `clean`, and by corruption the mean over its severities; `beyond`: the mean of these less `clean`.
    """

    name: str
    n: int
    clean: float | None
    by_corruption: dict[str, float | None]
    beyond: float | None


def measured(workspace: Workspace, run_id: str) -> list[Robust]:
    """The variants of a run whose robustness was measured, in table order. Raises UnknownRun."""
    run = RunFiles(workspace, run_id)
    found = []
    for row in run.variants:
        document = of_model(workspace, row.first.key)
        if document:
            teachers = (one.name for one in run.variants if one.role == "teacher" and agrees(row.values, one.values))
            teacher = next(teachers, None) if row.role != "teacher" else None
            found.append(_robust(run_id, row.name, row.role, row.first.key, row.parent, teacher, document))
    return found


def of_model(workspace: Workspace, key: str) -> dict[str, Any] | None:
    """The document of a model; None where it was not measured. Raises Damaged."""
    path = workspace.model(key) / FILE
    try:
        return _read(path, path.stat().st_mtime_ns)
    except FileNotFoundError:
        return None


def corrupted(workspace: Workspace, key: str) -> float | None:
    """The mean score of a model on corrupted images; None where it was not measured."""
    document = of_model(workspace, key)
    return document["corrupted"] if document else None


@lru_cache(maxsize=512)
def _read(path: Path, _written: int) -> dict[str, Any]:
    return read_json(path)


def _robust(
    run: str, name: str, role: str, key: str, parent: str | None, teacher: str | None, document: Mapping[str, Any]
) -> Robust:
    groups = document["corruptions"]
    scores = {group["corruption"]: tuple(one["score"] for one in group["severities"]) for group in groups}
    texts = [document["right"], *(one["right"] for group in groups for one in group["severities"])]
    bits = [unpacked(text, document["n"]) for text in texts]
    right = np.stack([one for one in bits if one is not None]) if bits[0] is not None else None
    return Robust(
        run, name, role, key, parent, teacher, document["measure"], document["n"], document["clean"],
        document["corrupted"], scores, tuple(document["classes"]), right, document["protocol"],
    )  # fmt: skip


def against(one: Robust, other: Robust) -> Against | None:
    """How `one` compares with `other`; None where they were not measured by one protocol."""
    if one.protocol != other.protocol or one.measure != other.measure:
        return None
    if one.right is None or other.right is None:
        clean, corrupted = one.clean - other.clean, one.corrupted - other.corrupted
        unbounded = (Paired(value, None, None, None) for value in (clean, corrupted, corrupted - clean))
        return Against(one.variant, other.variant, one.measure, *unbounded)
    mine, others = (right.astype(float) for right in (one.right, other.right))
    step = 1 / (len(mine) - 1)
    return Against(
        one.variant,
        other.variant,
        one.measure,
        _condition(one.right[0], other.right[0]),
        paired_interval(mine[1:].mean(axis=0).tolist(), others[1:].mean(axis=0).tolist(), step),
        paired_interval(
            (mine[1:].mean(axis=0) - mine[0]).tolist(), (others[1:].mean(axis=0) - others[0]).tolist(), step
        ),
    )


def difference(one: Robust, other: Robust, corruption: str, severity: int) -> Paired | None:
    """`one` less `other` in one condition ("clean" at 0); None where they were not measured by one protocol."""
    if one.protocol != other.protocol or one.measure != other.measure:
        return None
    if one.right is None or other.right is None:
        value = one.interval(corruption, severity).value - other.interval(corruption, severity).value
        return Paired(value, None, None, None)
    place = 0 if corruption == CLEAN else 1 + list(one.scores).index(corruption) * len(SEVERITIES) + severity - 1
    return _condition(one.right[place], other.right[place])


def by_class(one: Robust, other: Robust) -> list[ClassChange]:
    """Every class of `one` against the same of `other`, those that lost most beyond their clean loss first."""
    changes = [_class(mine, theirs, one.scores) for mine, theirs in zip(one.classes, other.classes, strict=True)]
    return sorted(changes, key=lambda change: 0.0 if change.beyond is None else change.beyond)


def compared(found: Sequence[Robust]) -> list[tuple[Robust, Robust]]:
    """Who is worth comparing with whom: each step with the file that it came from, then everybody with the teacher."""
    named = {one.variant: one for one in found}
    parents = [(one, named[one.parent]) for one in found if one.parent in named]
    teachers = [(one, named[one.teacher]) for one in found if one.teacher in named]
    return parents + [pair for pair in teachers if pair not in parents]


def table(found: Iterable[Robust]) -> list[dict[str, Any]]:
    """A row for each variant, corruption and severity, the clean images at severity 0; shares are fractions."""
    rows = []
    for one in found:
        for corruption, severity in [(CLEAN, 0), *((name, level) for name in one.scores for level in SEVERITIES)]:
            value, low, high = one.interval(corruption, severity)
            rows.append(
                {
                    "run": one.run,
                    "variant": one.variant,
                    "model_key": one.key,
                    "corruption": corruption,
                    "severity": severity,
                    "measure": one.measure,
                    "score": value,
                    "low": low,
                    "high": high,
                    "n": one.n,
                    "from_clean": value - one.clean,
                }
            )
    return rows


def class_table(found: Iterable[Robust]) -> list[dict[str, Any]]:
    """A row for each variant and class: recall or average precision, clean and by corruption (mean over severities)."""
    return [
        {"run": one.run, "variant": one.variant, "model_key": one.key, "measure": one.measure, **row}
        for one in found
        for row in one.classes
    ]


def document(workspace: Workspace, run_id: str) -> dict[str, Any]:
    """What was measured of a run as a JSON document, as `robustness --json` prints it. Raises UnknownRun."""
    found = measured(workspace, run_id)
    fields = ("variant", "role", "measure", "n", "clean", "corrupted", "scores", "classes")
    pairs = [against(one, other) for one, other in compared(found)]
    return {
        "run": run_id,
        "protocol": found[0].protocol if found else None,
        "variants": [{name: getattr(one, name) for name in fields} | {"model_key": one.key} for one in found],
        "differences": [_plain(pair) for pair in pairs if pair],
    }


def _plain(pair: Against) -> dict[str, Any]:
    return {name: value._asdict() if isinstance(value, Paired) else value for name, value in pair._asdict().items()}


def _condition(mine: NDArray[np.bool_], others: NDArray[np.bool_]) -> Paired:
    return paired_proportions(int((mine & ~others).sum()), int((others & ~mine).sum()), len(mine))


def _class(mine: Mapping[str, Any], theirs: Mapping[str, Any], corruptions: Iterable[str]) -> ClassChange:
    clean = _less(mine["clean"], theirs["clean"])
    changes = {name: _less(mine[name], theirs[name]) for name in corruptions}
    known = [change for change in changes.values() if change is not None]
    beyond = fmean(known) - clean if known and clean is not None else None
    return ClassChange(mine["class"], mine["n"], clean, changes, beyond)


def _less(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other
