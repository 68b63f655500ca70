"""Sentences that several lessons need, written from what was measured."""

from __future__ import annotations

from kdcore.lessons.predictions import Answer
from kdcore.report import format
from kdcore.report.verdicts import Verdict


def upper(sentence: str) -> str:
    """With a capital, to begin with."""
    return f"{sentence[:1].upper()}{sentence[1:]}"


def lower(sentence: str) -> str:
    """Without a capital, to go on with."""
    return f"{sentence[:1].lower()}{sentence[1:]}"


def compared(verdict: Verdict, of: str, against: str) -> str:
    """What a comparison shows, with its interval: the verdict decides the sentence."""
    value = verdict.points
    if verdict.low is None or verdict.high is None:
        return f"{of} differs from {against} by {format.points(value)}; one seed is not enough to judge that."
    if verdict.verdict == "BEATS":
        bounds = f"{verdict.low:.1f} to {verdict.high:.1f}"
        return f"{of} scores {value:.1f} points higher than {against} (95 % interval {bounds})."
    if verdict.verdict == "WORSE":
        bounds = f"{-verdict.high:.1f} to {-verdict.low:.1f}"
        return f"{of} scores {-value:.1f} points lower than {against} (95 % interval {bounds})."
    interval = f"{format.points(value)}, 95 % interval {format.signed(verdict.low)} to {format.signed(verdict.high)}"
    if verdict.verdict == "SAME":
        return f"{of} and {against} are practically equal ({interval})."
    return f"No significant difference between {of} and {against} ({interval})."


def points(verdict: Verdict, of: str, against: str) -> Answer:
    """The difference in points with its interval, as an answer."""
    return Answer(verdict.points, verdict.low, verdict.high, upper(compared(verdict, of, against)))
