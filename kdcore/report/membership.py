"""What the models of a run leak about their training images: the loss threshold attack, on the same images."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kdcore import arrays
from kdcore.measure.privacy import Area, Members, area_difference, missing, non_members, privacy
from kdcore.report.reading import MeasuredVariant, RunFiles, agrees

UNMEASURED = "measured before membership inference was added; re-run to include it"
NO_IMAGES = "the data set's test examples are no longer in the workspace"


class Membership(NamedTuple):
    """What a variant's deployed file leaks.

    `auc`, `low` to `high` (95 %), `members`, `others`, `advantage`, `found_at_1` and `reason` as in
    `kdcore.measure.privacy.privacy`. `shared`: on the same images as the run's students. `against`, `more`: how much
    higher its AUC is than that of the student alone of its point, or of a step's parent, on the same images; None where
    there is no such, or its images are others.
    """

    variant: str
    role: str
    auc: float | None
    low: float | None
    high: float | None
    members: int | None
    others: int | None
    advantage: float | None
    found_at_1: float | None
    reason: str
    shared: bool
    against: str | None
    more: Area | None


class _Losses(NamedTuple):
    """Of a model: its losses on the members `images` and on those test images that they are compared with."""

    images: np.ndarray
    members: np.ndarray
    others: np.ndarray


def memberships(run: RunFiles) -> list[Membership]:
    """A row for each finished variant, in table order.

    A student's members are its labelled images; a teacher, which has seen more, is measured on the same ones, so that
    the two can be compared. Where its record does not hold them all, it is measured on its own (`shared` is False).
    """
    first = next((found for row in run.variants if row.role != "teacher" and (found := _record(run, row))), None)
    asked = {row.name: _asked(run, row, first) for row in run.variants}
    return [_membership(run, row, asked, first) for row in run.variants]


def verdict(found: Membership) -> str:
    """What the numbers mean, in a sentence without a full stop."""
    if found.auc is None or found.low is None or found.high is None:
        return f"Not known: {found.reason}"
    area = f"AUC {found.auc:.2f} ({found.low:.2f} to {found.high:.2f})"
    if found.low > 0.5:
        return f"Leaks membership: {area}"
    if found.high < 0.5:
        return f"Losses are higher on members than on non-members, so the attack fails: {area}"
    return f"No better than chance: {area}"


def beside(found: Membership) -> str:
    """How much more it leaks than what it is compared with, in a sentence without a full stop; or nothing."""
    if found.more is None:
        return ""
    value, low, high = found.more
    if low > 0:
        return f"Leaks more than {found.against}, by {value:.2f} ({low:.2f} to {high:.2f})"
    if high < 0:
        return f"Leaks less than {found.against}, by {-value:.2f} ({-high:.2f} to {-low:.2f})"
    reach = max(abs(low), abs(high))
    return f"No detectable difference from {found.against} (within {reach:.2g})"


def _membership(
    run: RunFiles, row: MeasuredVariant, asked: dict[str, _Losses | None], first: Members | None
) -> Membership:
    mine = asked[row.name]
    measured = privacy(mine.members, mine.others) if mine else missing(_reason(run, row))
    shared = mine is not None and first is not None and _holds(mine.images, first.images)
    baseline = _baseline(run, row)
    theirs = asked[baseline.name] if baseline else None
    same = mine is not None and theirs is not None and np.array_equal(mine.images, theirs.images)
    more = None
    if mine and theirs and same and measured["auc"] is not None:
        more = area_difference(mine.members, mine.others, theirs.members, theirs.others)
    against = baseline.name if baseline and more else None
    return Membership(row.name, row.role, **measured, shared=shared, against=against, more=more)


def _asked(run: RunFiles, row: MeasuredVariant, first: Members | None) -> _Losses | None:
    """The variant's losses; of a teacher, on the members of the student `first` where it knows them all."""
    record, labels = _record(run, row), run.labels
    if record is None or labels is None:
        return None
    if row.role == "teacher" and first is not None and _holds(record.images, first.images):
        place = dict(zip(record.images.tolist(), range(len(record.images)), strict=True))
        chosen = [place[image] for image in first.images.tolist()]
        record = first._replace(losses=record.losses[chosen], test=record.test)
    return _Losses(record.images, record.losses, record.test[non_members(record.labels, labels)])


def _baseline(run: RunFiles, row: MeasuredVariant) -> MeasuredVariant | None:
    """A step's parent; for all others the student alone of the same point."""
    if row.parent:
        return next((one for one in run.variants if one.name == row.parent), None)
    if row.role == "alone":
        return None
    return next((one for one in run.variants if one.role == "alone" and agrees(row.values, one.values)), None)


def _reason(run: RunFiles, row: MeasuredVariant) -> str:
    stored: dict[str, Any] = row.first.privacy
    return NO_IMAGES if run.labels is None else stored.get("reason") or UNMEASURED


def _holds(images: np.ndarray, others: np.ndarray) -> bool:
    return bool(np.isin(others, images).all())


def _record(run: RunFiles, row: MeasuredVariant) -> Members | None:
    path = run.workspace.model(row.first.key) / "members.npz"
    return _read(path, path.stat().st_mtime_ns) if path.exists() else None


@lru_cache(maxsize=1024)
def _read(path: Path, _written: int) -> Members:
    stored = arrays.stored(path)
    return Members(*(stored[name] for name in Members._fields))
