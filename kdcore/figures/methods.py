"""Several methods against one baseline: differences with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

from kdcore.figures import style
from kdcore.report import format
from kdcore.report.quality import SCALES
from kdcore.report.verdicts import NOT_JUDGED, Verdict, the

ROW = 34  # pixels a method


class Method(NamedTuple):
    """A method's difference from the baseline in points, with its interval; `words`: its verdict."""

    name: str
    role: str
    points: float
    low: float | None
    high: float | None
    words: str


class Methods(NamedTuple):
    """`methods` in ascending order of their points; `corrected`: their intervals after Holm, as they are several."""

    title: str
    against: str
    methods: tuple[Method, ...]
    corrected: bool = False
    unit: str = "points"


def methods(verdicts: Sequence[Verdict], roles: Mapping[str, str], against: str) -> go.Figure:
    """Every method that was judged against `against`. `roles`: of the variants by name."""
    return _figure(methods_view(verdicts, roles, against))


def methods_view(verdicts: Sequence[Verdict], roles: Mapping[str, str], against: str) -> Methods:
    judged = [one for one in verdicts if one.against == against]
    found = [Method(one.variant, roles[one.variant], one.points, one.low, one.high, one.words) for one in judged]
    best = max(judged, key=lambda one: one.points, default=None)
    if best is None:
        return Methods("No verdicts", against, ())
    better = sum(one.verdict == "BEATS" for one in judged)
    found_out = (
        f"{better or 'None'} of {len(judged)} significantly outperform{'' if better > 1 else 's'} {the(against)}"
    )
    if all(one.low is None for one in judged):
        found_out = f"{NOT_JUDGED.capitalize()}, against {the(against)}"
    title = f"{found_out}; best: {best.variant}, {_with_interval(best)}"
    corrected = any(one.compared > 1 for one in judged)
    return Methods(
        title, against, tuple(sorted(found, key=lambda one: one.points)), corrected, SCALES[best.measure].unit
    )


def _with_interval(one: Verdict) -> str:
    unit, fine = SCALES[one.measure].unit, SCALES[one.measure].decimals
    bounds = "" if one.low is None else f" ({format.signed(one.low, fine)} to {format.signed(one.high, fine)})"
    return f"{format.signed(one.points, fine)} {unit}{bounds}"


def _figure(view: Methods) -> go.Figure:
    named = list(dict.fromkeys(one.role for one in view.methods))
    return style.figure(
        [_marks(role, [one for one in view.methods if one.role == role]) for role in named],
        view.title,
        x={"title": f"Difference ({view.unit}, 95 %{' after Holm’s correction' * view.corrected})", "zeroline": True,
           "zerolinecolor": style.INK},
        y={"title": "", "type": "category", "showgrid": False, "categoryorder": "array",
           "categoryarray": [one.name for one in view.methods]},
        height=110 + ROW * len(view.methods),
        showlegend=len(named) > 1,
    )  # fmt: skip


def _marks(role: str, found: Sequence[Method]) -> dict[str, Any]:
    look = style.look(role)
    return {
        "x": [one.points for one in found],
        "y": [one.name for one in found],
        "error_x": {
            "type": "data",
            "array": [0 if one.high is None else one.high - one.points for one in found],
            "arrayminus": [0 if one.low is None else one.points - one.low for one in found],
            "color": style.tint(look.colour, 0.6),
            "thickness": 2,
        },
        "mode": "markers",
        "name": look.label,
        "marker": {"color": look.colour, "symbol": look.symbol, "size": 12},
        "hovertext": [f"{one.name}: {one.words}" for one in found],
        "hoverinfo": "text",
    }
