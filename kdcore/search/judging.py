"""Which candidate is best within the limits, which is nearest to them, and how to say so. No torch, no Optuna."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from kdcore.report import format
from kdcore.search.request import Goal, Search

Row = Mapping[str, Any]
Trials = Iterable[Mapping[str, Any]]
ROUNDING = 1e-9
POINTS = 10.0  # of accuracy count as much as being beyond another limit by all of it
TRAINED = "trained"
STOPPED = "stopped"  # by successive halving: its figures are those after fewer steps


def _mb(value: float) -> str:
    return f"{value:.3g} MB"


def _points(value: float) -> str:
    return f"{value:.3g} point{'s' * (value != 1)}"


WORDS: dict[str, tuple[str, Callable[[float], str]]] = {
    "size_bytes": ("size", format.size),
    "coded_bytes": ("coded size", format.size),
    "latency_ms": ("latency", format.milliseconds),
    "batch_ms": ("time per example at batch 64", format.milliseconds),
    "macs": ("MACs", format.count),
    "params": ("parameters", format.count),
    "memory_mb": ("peak memory", _mb),
    "lost": ("loss of accuracy", _points),
}


def excess(figures: Row, limits: Mapping[str, float]) -> dict[str, float]:
    """By how much of each limit the figures are beyond it; negative within it. What was not measured is left out.

    Of the loss of accuracy ten points count as the whole.
    """
    found = {}
    for name, most in limits.items():
        value = figures.get(name)
        if value is not None:
            found[name] = (value - most) / POINTS if name == "lost" else value / most - 1
    return found


def fits(row: Row, limits: Mapping[str, float]) -> bool:
    """Whether a trained candidate is within all limits. What was not measured is not within its limit."""
    beyond = excess(row, limits)
    return row["state"] == TRAINED and beyond.keys() == limits.keys() and all(v <= ROUNDING for v in beyond.values())


def beyond(row: Row, limits: Mapping[str, float]) -> float:
    """How far a candidate is from the limits, all of them together; 0 where it is within them."""
    return sum(max(0.0, value) for value in excess(row, limits).values())


def value_of(goal: Goal, row: Row, coded: bool) -> float:
    """What is to be made best: accuracy 0..1, bytes, or milliseconds."""
    value = row[
        {"accuracy": "accuracy", "size": "coded_bytes" if coded else "size_bytes", "latency": "latency_ms"}[goal]
    ]
    return float(value) if value is not None else float("inf")


def ranked(rows: Trials, search: Search, limits: Mapping[str, float] | None = None) -> list[Row]:
    """The trained candidates within the limits (the search's, or these), the best first: by the goals, then accuracy,
    then size."""
    limits = search.limits if limits is None else limits
    goals: Sequence[Goal] = (*search.best, "accuracy", "size")

    def order(row: Row) -> list[float]:
        return [-value_of(goal, row, search.coded) if goal == "accuracy" else value_of(goal, row, search.coded)
                for goal in goals]  # fmt: skip

    return sorted((row for row in rows if fits(row, limits)), key=order)


def nearest(rows: Trials, search: Search) -> Row | None:
    """The trained candidate that is least beyond the limits; None where nothing was trained."""
    trained = [row for row in rows if row["state"] == TRAINED]
    return min(trained, key=lambda row: (beyond(row, search.limits), -row["accuracy"]), default=None)


def asked(search: Search) -> str:
    """The limits in words: "size at most 10 kB, loss of accuracy at most 1 point"."""
    return ", ".join(f"{WORDS[name][0]} at most {WORDS[name][1](most)}" for name, most in search.limits.items())


def shortfall(row: Row, limits: Mapping[str, float]) -> str:
    """How far off a candidate is: "size 12.3 kB, 2.3 kB (23 %) over the limit of 10 kB"."""
    said = []
    for name, part in excess(row, limits).items():
        if part > ROUNDING:
            word, write = WORDS[name]
            over, share = row[name] - limits[name], "" if name == "lost" else f" ({100 * part:.0f} %)"
            said.append(f"{word} {write(row[name])}, {write(over)}{share} over the limit of {write(limits[name])}")
    return "; ".join(said)


def sentence(rows: Sequence[Row], search: Search, limits: Mapping[str, float] | None = None) -> str:
    """The best candidate so far, or that none fits and how far off the nearest is; by validation images."""
    best = ranked(rows, search, limits)
    if best:
        row = best[0]
        size = f"{format.size(row['coded_bytes'])} coded" if search.coded else format.size(row["size_bytes"])
        facts = [f"{format.percent(row['accuracy'])} on validation examples", size]
        if row.get("latency_ms"):
            facts.append(format.milliseconds(row["latency_ms"]))
        if row.get("batch_ms") and "batch_ms" in search.limits:
            facts.append(f"{format.milliseconds(row['batch_ms'])} per example at batch 64")
        return f"{row['label']}: {', '.join(facts)}."
    close = nearest(rows, search)
    if close is None:
        return "No candidate could be trained."
    return f"No candidate is within the limits ({asked(search)}). The nearest is {close['label']}: " + (
        f"{shortfall(close, search.limits) or 'not all of its limits could be measured'}."
    )


def front(rows: Trials, coded: bool = False) -> list[Row]:
    """The trained candidates of which no other is both smaller and at least as accurate, the smallest first."""
    kept: list[Row] = []
    trained = [row for row in rows if row["state"] == TRAINED]
    for row in sorted(trained, key=lambda row: (value_of("size", row, coded), -row["accuracy"])):
        if not kept or row["accuracy"] > kept[-1]["accuracy"]:
            kept.append(row)
    return kept


def counted(found: Mapping[str, Any], of: int | None = None) -> str:
    """How many candidates came to what: "12 of 30 candidates trained, 3 stopped early, 5 not trained (…)".

    `of`: how many there will be, those that are stopped early among them; no longer said once there are as many.
    """
    states = [trial["state"] for trial in found["trials"]]
    trained, stopped = states.count(TRAINED), states.count(STOPPED)
    early = f", {stopped} stopped early" if stopped else ""
    others = len(states) - trained - stopped
    more = of and trained + stopped < of
    candidates = f"{trained} of {of} candidates" if more else format.plural(trained, "candidate")
    return f"{candidates} trained{early}, {others} not trained (beyond a limit, or not possible)"
