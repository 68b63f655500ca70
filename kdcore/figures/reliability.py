"""Whether a network is right as often as it says: its reliability diagram, before and after one temperature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

from kdcore.figures import style
from kdcore.report import format
from kdcore.report.statistics import wilson

NOTABLE = 0.005  # a smaller gap between what is said and what is so is no direction
SHARES = {"range": [-2, 102], "dtick": 20}


class Bin(NamedTuple):
    """Answers of about one confidence, in %: the mean one, how many are right with Wilson's 95 % interval."""

    confidence: float
    right: float
    low: float
    high: float
    number: int


class Reliability(NamedTuple):
    """`before` and `after` one temperature, lowest confidence first, empty bins left out; `counts` those of all bins
    before. `after` is empty where no temperature was fitted."""

    title: str
    role: str
    noun: str
    before: tuple[Bin, ...]
    after: tuple[Bin, ...]
    counts: tuple[int, ...]


def reliability(name: str, role: str, quality: Mapping[str, Any]) -> go.Figure:
    """The diagram of one variant, whose `quality` is that of its report, with `calibration`."""
    return _figure(reliability_view(name, role, quality))


def reliability_view(name: str, role: str, quality: Mapping[str, Any]) -> Reliability:
    told = quality["calibration"]
    scaled, rows = told["scaled"], told["bins"]
    noun = "decisions" if "map" in quality else "answers"
    return Reliability(
        f"{_said(name, rows)}; {_mended(quality['ece'], told)}",
        role,
        noun,
        _bins(rows),
        _bins(scaled["bins"]) if scaled else (),
        tuple(row["count"] for row in rows),
    )


def _said(name: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Whether it is too sure of itself, over all its answers."""
    total = sum(row["count"] for row in rows)
    right = sum(row["right"] for row in rows) / total
    said = sum(row["count"] * row["confidence"] for row in rows if row["count"]) / total
    name = name[:1].upper() + name[1:]
    if abs(said - right) < NOTABLE:
        return f"{name} is as sure as it may be, {format.percent(said)} on average"
    how = "too sure of itself" if said > right else "not sure enough"
    return f"{name} is {how}: it says {format.percent(said)} and is right {format.percent(right)} of the time"


def _mended(ece: float, told: Mapping[str, Any]) -> str:
    if not told["scaled"]:
        return f"its calibration error (ECE) is {format.percent(ece)}"
    low, high = told["temperature_low"], told["temperature_high"]
    if low <= 1 <= high:
        may = f"T = {told['temperature']:.2f} ({low:.2f} to {high:.2f}) may as well be 1"
        return f"its calibration error (ECE) is {format.percent(ece)}, and {may}"
    before, after = format.percent(ece), format.percent(told["scaled"]["ece"])
    at = f"T = {told['temperature']:.2f}"
    if before == after:
        return f"{at} leaves its calibration error (ECE) at {before}"
    how = "lowers" if told["scaled"]["ece"] < ece else "raises"
    return f"{at} {how} its calibration error (ECE) from {before} to {after}"


def _bins(rows: Sequence[Mapping[str, Any]]) -> tuple[Bin, ...]:
    return tuple(_bin(row["count"], row["right"], row["confidence"]) for row in rows if row["count"])


def _bin(count: int, right: int, confidence: float) -> Bin:
    share, low, high = wilson(right, count)
    assert low is not None
    assert high is not None
    return Bin(100 * confidence, 100 * share, 100 * low, 100 * high, count)


def _figure(view: Reliability) -> go.Figure:
    colour = style.look(view.role).colour
    after = [_marks(view, view.after, "After temperature scaling", style.INK, "diamond-open")] if view.after else []
    return style.figure(
        [_perfect(), *after, _marks(view, view.before, "As trained", colour, "circle"), _counts(view, colour)],
        view.title,
        x={"title": f"Confidence: what it says of its {view.noun} (%)", "anchor": "y2", **SHARES},
        y={"title": f"{view.noun.capitalize()} that are right (%)", "domain": [0.27, 1], **SHARES},
        yaxis2=style.axis({"title": "Number", "domain": [0, 0.18], "nticks": 3}),
        height=430,
        bargap=0.05,
    )


def _perfect() -> dict[str, Any]:
    return {
        "x": [0, 100],
        "y": [0, 100],
        "mode": "lines",
        "line": {"color": style.INK, "dash": "dot", "width": 1},
        "name": "As sure as right",
        "hoverinfo": "skip",
    }


def _marks(view: Reliability, found: Sequence[Bin], name: str, colour: str, symbol: str) -> dict[str, Any]:
    return {
        "x": [one.confidence for one in found],
        "y": [one.right for one in found],
        "error_y": {
            "type": "data",
            "array": [one.high - one.right for one in found],
            "arrayminus": [one.right - one.low for one in found],
            "color": style.tint(colour, 0.5),
            "thickness": 1.5,
            "width": 3,
        },
        "mode": "lines+markers",
        "line": {"color": style.tint(colour, 0.7), "width": 1.5},
        "marker": {"color": colour, "symbol": symbol, "size": 9},
        "name": name,
        "hovertext": [
            f"{name}: of {one.number:,} {view.noun} it is {one.confidence:.1f} % sure, and {one.right:.1f} % are right "
            f"({one.low:.1f} to {one.high:.1f})"
            for one in found
        ],
        "hoverinfo": "text",
    }


def _counts(view: Reliability, colour: str) -> dict[str, Any]:
    width = 100 / len(view.counts)
    return {
        "type": "bar",
        "x": [width * (place + 0.5) for place in range(len(view.counts))],
        "y": list(view.counts),
        "width": width,
        "yaxis": "y2",
        "marker": {"color": style.tint(colour, 0.6)},
        "name": "How many",
        "showlegend": False,
        "hovertemplate": "%{y:,} as trained<extra></extra>",
    }
