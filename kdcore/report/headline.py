"""A finished run in one line: its last variant, its quality, what it gained."""

from __future__ import annotations

import re

from kdcore.report import format
from kdcore.report.comparison import BATCH
from kdcore.report.quality import Quality
from kdcore.workspace.index import RunRow

BEHIND_A_NUMBER, UNBROKEN = re.compile(r"(?<=[\d×]) "), "\N{NO-BREAK SPACE}"


def headline(row: RunRow) -> str:
    """ "int8: 96.1 %, 12× smaller, 3.1× throughput (batch 64)"; the error of a run that failed, else nothing."""
    if row.score is None:
        return row.error or ""
    facts = [quality(row), *([f"{format.times(row.smaller)} smaller"] if row.smaller else []), *_speed(row)]
    return f"{row.variant or ''}: {', '.join(BEHIND_A_NUMBER.sub(UNBROKEN, fact) for fact in facts)}"


def quality(row: RunRow) -> str:
    """That of the last variant: "98.7 %", "mAP 61.2 %", "2.877 bits per character"; a dash where there is none."""
    if row.bits is not None:
        return Quality("bits", row.bits).short
    return ("mAP " if row.measure == "mAP" else "") + format.percent(row.score)


def _speed(row: RunRow) -> list[str]:
    """How the throughput of a run's last variant compares with its teacher's; nothing where it was not timed."""
    if row.faster is None:
        return []
    value = format.times(row.faster) if row.differs else "no measurable difference in"
    return [f"{value} throughput (batch {BATCH}{', busy machine' * row.busy})"]
