"""A network's reliability diagram, before and after temperature scaling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

from kdcore.figures import style
from kdcore.report import format
from kdcore.report.statistics import wilson

NOTABLE = 0.005  # a smaller difference of confidence and accuracy has no direction
SHARES = {"range": [-2, 102], "dtick": 20}


class Bin(NamedTuple):
    """Answers of similar confidence, in %: their mean confidence, their accuracy with Wilson's 95 % interval."""

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
    calibration = quality["calibration"]
    scaled, rows = calibration["scaled"], calibration["bins"]
    noun = "decisions" if "map" in quality else "answers"
    return Reliability(
        f"{_direction(name, calibration)}; {_scaling(quality['ece'], calibration)}",
        role,
        noun,
        _bins(rows),
        _bins(scaled["bins"]) if scaled else (),
        tuple(row["count"] for row in rows),
    )


def _direction(name: str, calibration: Mapping[str, Any]) -> str:
    """Whether it is overconfident, over all its answers, where its temperature differs from 1."""
    rows = calibration["bins"]
    total = sum(row["count"] for row in rows)
    accuracy = sum(row["right"] for row in rows) / total
    confidence = sum(row["count"] * row["confidence"] for row in rows if row["count"]) / total
    name = name[:1].upper() + name[1:]
    means = f"mean confidence {format.percent(confidence)}, accuracy {format.percent(accuracy)}"
    if abs(confidence - accuracy) < NOTABLE or _is_one(calibration):
        return f"{name}: {means}"
    return f"{name} is {'overconfident' if confidence > accuracy else 'underconfident'}: {means}"


def _is_one(calibration: Mapping[str, Any]) -> bool:
    """Whether the fitted temperature is not significantly different from 1."""
    return bool(calibration["scaled"]) and calibration["temperature_low"] <= 1 <= calibration["temperature_high"]


def _scaling(ece: float, calibration: Mapping[str, Any]) -> str:
    before, scaled = format.percent(ece), calibration["scaled"]
    if not scaled:
        return f"calibration error (ECE) {before}"
    at = f"T = {calibration['temperature']:.2f}"
    if _is_one(calibration):
        interval = f"{calibration['temperature_low']:.2f} to {calibration['temperature_high']:.2f}"
        return f"calibration error (ECE) {before}, {at} ({interval}) is not significantly different from 1"
    after = format.percent(scaled["ece"])
    if before == after:
        return f"{at} leaves the calibration error (ECE) at {before}"
    how = "lowers" if scaled["ece"] < ece else "raises"
    return f"{at} {how} the calibration error (ECE) from {before} to {after}"


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
        x={"title": f"Confidence of its {view.noun} (%)", "anchor": "y2", **SHARES},
        y={"title": "Accuracy (%)", "domain": [0.27, 1], **SHARES},
        yaxis2=style.axis({"title": "Count", "domain": [0, 0.18], "nticks": 3}),
        height=430,
        bargap=0.05,
    )


def _perfect() -> dict[str, Any]:
    return {
        "x": [0, 100],
        "y": [0, 100],
        "mode": "lines",
        "line": {"color": style.INK, "dash": "dot", "width": 1},
        "name": "Perfect calibration",
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
            f"{name}: {one.number:,} {view.noun}, confidence {one.confidence:.1f} %, accuracy {one.right:.1f} % "
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
        "name": "Count",
        "showlegend": False,
        "hovertemplate": "%{y:,} as trained<extra></extra>",
    }
