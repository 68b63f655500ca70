"""Learning curves: loss and accuracy against optimizer steps, live or afterwards."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray

from kdcore.figures import style
from kdcore.report import format

Quantity = Literal["loss", "accuracy", "val_loss", "val_accuracy", "val_bits", "val_token_bits"]
NAMED = ("teacher", "alone", "distilled")  # the roles in the title
AXES: dict[Quantity, str] = {
    "loss": "Training loss",
    "accuracy": "Training accuracy (%)",
    "val_loss": "Validation loss",
    "val_accuracy": "Validation accuracy (%)",
    "val_bits": "Validation bits per character",
    "val_token_bits": "Validation bits per token",
}
BITS = ("val_bits", "val_token_bits")


DASHES = ("dash", "dot", "dashdot", "longdash", "longdashdot")


class Line(NamedTuple):
    """The course of one model's training, or (`seed` None) the mean over a variant's seeds."""

    variant: str
    role: str
    seed: int | None
    steps: NDArray[np.float64]
    values: NDArray[np.float64]


class Curves(NamedTuple):
    title: str
    y_title: str
    lines: tuple[Line, ...]


def curves(
    series: Sequence[Mapping[str, Any]], quantity: Quantity, smoothing: float = 0.0, hidden: Sequence[str] = ()
) -> go.Figure:
    """The curves of a run. `series` are `Index.curves`: one mapping a model, with arrays `step` and each quantity.

    `smoothing` is the weight of the past, 0 (none) to below 1. `hidden`: the classes of which the students' validation
    images hold none.
    """
    return _figure(curves_view(series, quantity, smoothing, hidden))


def curves_view(
    series: Sequence[Mapping[str, Any]], quantity: Quantity, smoothing: float = 0.0, hidden: Sequence[str] = ()
) -> Curves:
    by_variant: dict[str, list[Line]] = {}
    for one in series:
        line = _line(one, quantity, smoothing)
        if len(line.steps):
            by_variant.setdefault(line.variant, []).append(line)
    lines = [line for seeds in by_variant.values() for line in [*_thin(seeds), _mean(seeds)]]
    without = ", ".join(hidden) if quantity.startswith("val") else ""
    return Curves(_title(lines, quantity, without), AXES[quantity], tuple(lines))


def smooth(values: ArrayLike, weight: float) -> NDArray[np.float64]:
    """Exponential moving average, corrected for its start so that it begins at the first value.

    >>> smooth([1.0, 1.0, 1.0], 0.9).round(9).tolist()
    [1.0, 1.0, 1.0]
    """
    given = np.asarray(values, dtype=np.float64)
    averaged, last, share = np.empty_like(given), 0.0, 0.0
    for index, value in enumerate(given):
        last = weight * last + (1 - weight) * value
        share = weight * share + (1 - weight)
        averaged[index] = last / share
    return averaged


def _line(one: Mapping[str, Any], quantity: Quantity, smoothing: float) -> Line:
    steps = np.asarray(one["step"], dtype=np.float64)
    source, scale = ("val_loss", 1 / math.log(2)) if quantity in BITS else (quantity, 1.0)
    values = np.array([np.nan if value is None else value for value in one[source]], dtype=np.float64)
    known = np.isfinite(values)
    scale = 100.0 if quantity.endswith("accuracy") else scale
    return Line(one["variant"], one["role"], one["seed"], steps[known], smooth(scale * values[known], smoothing))


def _thin(seeds: list[Line]) -> list[Line]:
    return seeds if len(seeds) > 1 else []


def _mean(seeds: list[Line]) -> Line:
    """The mean over the seeds, as far as all of them have come. One seed is its own mean."""
    reached = min(len(line.steps) for line in seeds)
    values = np.mean([line.values[:reached] for line in seeds], axis=0)
    return seeds[0]._replace(seed=None, steps=seeds[0].steps[:reached], values=values)


def _title(lines: list[Line], quantity: Quantity, without: str) -> str:
    """Where the teacher and the students stand at the end of their curves; of several of a kind the best one."""
    by_role: dict[str, list[Line]] = {}
    for line in lines:
        if line.seed is None and line.role in NAMED:
            by_role.setdefault(line.role, []).append(line)
    if not by_role:
        return "No training yet"
    ends = ", ".join(_end(by_role[role], quantity) for role in NAMED if role in by_role)
    where = f" (the students’ without class {without})" if without else ""
    return f"{AXES[quantity].removesuffix(' (%)')}{where}: {ends}"


def _end(lines: list[Line], quantity: Quantity) -> str:
    """ "student alone 91.2 %", or "best of 3: student distilled (temperature 4) 95.0 %"."""
    share = quantity.endswith("accuracy")
    best = (max if share else min)(lines, key=lambda line: line.values[-1])
    number = format.bits(best.values[-1]) if quantity in BITS else f"{best.values[-1]:.2g}"
    end = format.percent(best.values[-1] / 100) if share else number
    return (f"best of {len(lines)}: " if len(lines) > 1 else "") + f"{best.variant} {end}"


def _dashes(lines: Sequence[Line]) -> dict[str, str]:
    """Variants of one role share its colour, so the second one and those after it differ by their dashes."""
    roles: dict[str, list[str]] = {}
    for name, role in {line.variant: line.role for line in lines}.items():
        roles.setdefault(role, []).append(name)
    usual = {name: style.dash(role) for role, names in roles.items() for name in names[:1]}
    return usual | {
        name: DASHES[place % len(DASHES)] for names in roles.values() for place, name in enumerate(names[1:])
    }


def _figure(view: Curves) -> go.Figure:
    dashes = _dashes(view.lines)
    return style.figure(
        [_trace(line, dashes[line.variant]) for line in view.lines],
        view.title,
        x={"title": "Optimizer steps"},
        y={"title": view.y_title, "rangemode": "tozero" if "loss" in view.y_title.lower() else "normal"},
        height=320 + 20 * (len({line.variant for line in view.lines}) // 6),
        hovermode="x unified",
    )


def _trace(line: Line, dash: str) -> dict[str, Any]:
    """The mean over the seeds thick and in the legend, the seeds thin behind it."""
    colour = style.look(line.role).colour
    mean = line.seed is None
    return {
        "x": line.steps,
        "y": line.values,
        "mode": "lines",
        "line": {
            "color": colour if mean else style.tint(colour, 0.3),
            "width": 2.5 if mean else 1,
            "dash": dash,
        },
        "name": line.variant,
        "legendgroup": line.variant,
        "showlegend": mean,
        "hoverinfo": "all" if mean else "skip",
        "hovertemplate": "%{y:.4g}" if mean else None,
    }
