"""Limits on what a variant may cost, and the best variant within them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from kdcore.report import format
from kdcore.report.comparison import BATCH
from kdcore.report.verdicts import the

Row = Mapping[str, Any]
ROUNDING = 1e-9


class Limits(NamedTuple):
    """What a variant may cost at most; None is no limit.

    `size_bytes` of the deployed file, `milliseconds` per image at batch size `batch` (1 or 64), and `points` of
    accuracy or mAP below the baseline, or bits a character above it.
    """

    size_bytes: float | None = None
    milliseconds: float | None = None
    points: float | None = None
    batch: int = BATCH

    @property
    def any(self) -> bool:
        return any(one is not None for one in (self.size_bytes, self.milliseconds, self.points))


def per_image(row: Row, batch: int) -> float | None:
    """Milliseconds per image at batch size 1 or 64; None where that was not timed."""
    if batch == 1:
        return row["latency_ms"]
    return 1000 / row["images_per_s"] if row["images_per_s"] else None


def fits(row: Row, limits: Limits, baseline: Row) -> bool:
    """Whether a row of `report.comparison.rows` is within the limits. What was not measured is not within a limit."""
    return (
        _within(row["size_bytes"], limits.size_bytes)
        and _within(per_image(row, limits.batch), limits.milliseconds)
        and _within(_lost(row, baseline), limits.points)
    )


def best(rows: Sequence[Row], limits: Limits, baseline: Row) -> Row | None:
    """The most accurate row within the limits, of several the smallest; None where none fits."""
    found = [row for row in rows if row["quality"] and fits(row, limits, baseline)]
    return max(found, key=lambda row: (row["quality"].merit, -(row["size_bytes"] or 0)), default=None)


def sentence(rows: Sequence[Row], limits: Limits, baseline: Row, names: Mapping[str, str] | None = None) -> str:
    """Which is the best variant within the limits, or that none is; `names`: of the runs by id, where several meet."""
    found, asked = best(rows, limits, baseline), _asked(limits, baseline)
    if found is None:
        return f"No variant is within the limits ({asked})."
    ms = per_image(found, limits.batch)
    facts = [
        found["variant"] + (f" of {names[found['run']]}" if names else ""),
        found["quality"]._replace(low=None, high=None).words,
        format.size(found["size_bytes"]),
        *([f"{format.milliseconds(ms)} per example at batch {limits.batch}"] if ms else []),
    ]
    count = sum(fits(row, limits, baseline) for row in rows)
    return f"{count} of {len(rows)} within the limits ({asked}). The most accurate of them: {', '.join(facts)}."


def _asked(limits: Limits, baseline: Row) -> str:
    parts = []
    if limits.size_bytes is not None:
        parts.append(f"at most {format.size(limits.size_bytes)}")
    if limits.milliseconds is not None:
        parts.append(f"at most {format.milliseconds(limits.milliseconds)} per example (batch {limits.batch})")
    if limits.points is not None:
        parts.append(f"at most {limits.points:g} {lost(baseline)}")
    return ", ".join(parts)


def lost(baseline: Row) -> str:
    """What `Limits.points` counts: "points below the teacher", "bits per character above the teacher"."""
    reference, scale = the(baseline["variant"]), baseline["quality"].scale if baseline["quality"] else None
    return f"{scale.unit} above {reference}" if scale and scale.sign < 0 else f"points below {reference}"


def _lost(row: Row, baseline: Row) -> float | None:
    own, other = row["quality"], baseline["quality"]
    return other.ahead(own) if own and other and own.measure == other.measure else None


def _within(value: float | None, most: float | None) -> bool:
    return most is None or (value is not None and value <= most + ROUNDING)
