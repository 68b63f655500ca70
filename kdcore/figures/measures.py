"""Any two measures of a comparison against each other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from kdcore.figures import style
from kdcore.figures.points import once_in_the_legend
from kdcore.report import format
from kdcore.report.comparison import BATCH

Row = Mapping[str, Any]
WIDE = 8  # values that span more than this factor are shown on a log scale
ENOUGH = 4  # variants, for a correlation in the title
STRONG = 0.6  # rank correlation that a title speaks of


class Measure(NamedTuple):
    """A numeric column of the comparison: its name with the unit, what its values are multiplied with to have it, and
    the columns of its 95 % interval."""

    label: str
    scale: float = 1.0
    interval: tuple[str, str] | None = None


MEASURES = {
    "bits": Measure("Bits per character", 1, ("bits_low", "bits_high")),
    "accuracy": Measure("Test accuracy (%)", 100, ("accuracy_low", "accuracy_high")),
    "map": Measure("mAP (%)", 100, ("score_low", "score_high")),
    "size_bytes": Measure("File size (kB)", 1e-3),
    "latency_ms": Measure("Latency, batch 1 (ms)"),
    "images_per_s": Measure(f"Throughput, batch {BATCH} (examples/s)"),
    "params": Measure("Parameters"),
    "nonzero_params": Measure("Non-zero parameters"),
    "macs": Measure("MACs per example"),
    "sparsity": Measure("Zeros (%)", 100),
    "coded_bytes": Measure("Coded, storage only (kB)", 1e-3),
    "zip_bytes": Measure("Zipped, storage only (kB)", 1e-3),
    "agreement": Measure("Agreement with the teacher (%)", 100),
    "kl": Measure("KL from the teacher (nats)"),
    "logit_error": Measure("Logit error (%)", 100),
    "ece": Measure("ECE (%)", 100),
    "temperature": Measure("Calibration temperature (T)"),
    "corrupted_accuracy": Measure("Accuracy on corrupted inputs (%)", 100),
    "membership_auc": Measure("Membership inference (AUC)", 1, ("membership_low", "membership_high")),
    "macro_f1": Measure("Macro F1 (%)", 100),
    "peak_memory_mb": Measure("Peak memory (MB)"),
    "train_seconds": Measure("Training time (s)"),
}


class Dot(NamedTuple):
    """A variant; `x_bounds` and `y_bounds` are the ends of the intervals, None where there are none."""

    run: str
    name: str
    role: str
    x: float
    y: float
    x_bounds: tuple[float, float] | None
    y_bounds: tuple[float, float] | None
    fits: bool


class Pair(NamedTuple):
    title: str
    x_title: str
    y_title: str
    dots: tuple[Dot, ...]


def present(rows: Sequence[Row]) -> list[str]:
    """The measures of which at least two of these rows have a value."""
    return [name for name in MEASURES if sum(_known(row[name]) for row in rows) > 1]


def against(
    rows: Sequence[Row], x: str, y: str, outside: Sequence[Row] = (), runs: Mapping[str, str] | None = None
) -> go.Figure:
    """One measure over another for rows of `report.comparison.rows`; those in `outside` are grey.

    `runs`: names of several by id, for the hover.
    """
    return _figure(pair_view(rows, x, y, outside), runs or {})


def pair_view(rows: Sequence[Row], x: str, y: str, outside: Sequence[Row] = ()) -> Pair:
    dots = tuple(
        Dot(
            row["run"], row["variant"], row["role"], MEASURES[x].scale * row[x], MEASURES[y].scale * row[y],
            _bounds(row, x), _bounds(row, y), row not in outside,
        )
        for row in rows
        if _known(row[x]) and _known(row[y])
    )  # fmt: skip
    return Pair(_title(dots, x, y), MEASURES[x].label, MEASURES[y].label, dots)


def _known(value: Any) -> bool:
    return value is not None and math.isfinite(value)


def _bounds(row: Row, name: str) -> tuple[float, float] | None:
    measure = MEASURES[name]
    if measure.interval is None or any(row[bound] is None for bound in measure.interval):
        return None
    low, high = (measure.scale * row[bound] for bound in measure.interval)
    return low, high


def _title(dots: Sequence[Dot], x: str, y: str) -> str:
    """Whether they go together, by rank correlation."""
    across, up = (MEASURES[name].label.rsplit(" (", 1)[0] for name in (x, y))
    up_there = f"{across[:1].lower()}{across[1:]}" if across[1:2].islower() else across
    if len(dots) < ENOUGH or len({dot.x for dot in dots}) < 2 or len({dot.y for dot in dots}) < 2 or x == y:
        return f"{up} against {up_there}"
    found = float(np.corrcoef(_ranks([dot.x for dot in dots]), _ranks([dot.y for dot in dots]))[0, 1])
    how = "rises with" if found >= STRONG else "falls with" if found <= -STRONG else "hardly depends on"
    correlation = f"{found:+.2f}".replace("-", format.MINUS)
    return f"{up} {how} {up_there} (rank correlation {correlation}, {len(dots)} variants)"


def _ranks(values: Sequence[float]) -> NDArray[np.float64]:
    """1 for the least; equal values share the mean of their ranks. scipy would take a second to import."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]


def _figure(view: Pair, runs: Mapping[str, str]) -> go.Figure:
    groups = dict.fromkeys((dot.role, dot.fits) for dot in view.dots)
    traces = [_marks([dot for dot in view.dots if (dot.role, dot.fits) == group], runs) for group in groups]
    return style.figure(
        once_in_the_legend(traces),
        view.title,
        x=_axis(view.x_title, [dot.x for dot in view.dots]),
        y=_axis(view.y_title, [dot.y for dot in view.dots]),
        height=460,
    )


def _axis(title: str, values: Sequence[float]) -> dict[str, Any]:
    found = np.array(values or [1.0])
    if found.min() > 0 and found.max() >= WIDE * found.min():
        return {"title": f"{title}, log scale", "type": "log", "tickformat": ",~r", "dtick": "D2"}
    return {"title": title}


def _marks(dots: Sequence[Dot], runs: Mapping[str, str]) -> dict[str, Any]:
    look = style.look(dots[0].role)
    if not dots[0].fits:
        look = look._replace(label="Outside the limits", colour=style.INK)
    return {
        "x": [dot.x for dot in dots],
        "y": [dot.y for dot in dots],
        "error_x": _bars([(dot.x, dot.x_bounds) for dot in dots], look.colour),
        "error_y": _bars([(dot.y, dot.y_bounds) for dot in dots], look.colour),
        "mode": "markers",
        "opacity": 1.0 if dots[0].fits else 0.4,
        "marker": {"color": look.colour, "symbol": look.symbol, "size": 13},
        "unselected": {"marker": {"opacity": 1}},
        "selected": {"marker": {"size": 19}},
        "name": look.label,
        "customdata": [[dot.run, dot.name] for dot in dots],
        "hovertext": [
            f"{', '.join([*filter(None, [runs.get(dot.run)]), dot.name])}: "
            f"{format.significant(dot.x)}, {format.significant(dot.y)}"
            for dot in dots
        ],
        "hoverinfo": "text",
        "cliponaxis": False,
    }


def _bars(found: Sequence[tuple[float, tuple[float, float] | None]], colour: str) -> dict[str, Any]:
    return {
        "type": "data",
        "array": [bounds[1] - value if bounds else 0 for value, bounds in found],
        "arrayminus": [value - bounds[0] if bounds else 0 for value, bounds in found],
        "color": style.tint(colour, 0.5),
        "thickness": 1.5,
    }
