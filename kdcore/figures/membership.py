"""Membership inference: the attack's area under the curve, with the chance level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

from kdcore.figures import style
from kdcore.report import format
from kdcore.report.membership import Membership, verdict

ROW = 34  # pixels a variant
ROOM = 0.02


class Leaks(NamedTuple):
    """`found`: the variants whose AUC is known, in table order; `reach` (low, high): of the axis."""

    title: str
    found: tuple[Membership, ...]
    reach: tuple[float, float]


def leaks(memberships: Sequence[Membership]) -> go.Figure:
    """AUC with its interval by variant, and the line at one half, the chance level."""
    return _figure(leaks_view(memberships))


def leaks_view(memberships: Sequence[Membership]) -> Leaks:
    found = tuple(one for one in memberships if one.auc is not None)
    bounds = [bound for one in found for bound in (one.low, one.high) if bound is not None]
    reach = min([0.45, *bounds]) - ROOM, max([0.6, *bounds]) + ROOM
    return Leaks(_title(found), found, reach)


def _title(found: Sequence[Membership]) -> str:
    leaking = [one for one in found if (one.low or 0) > 0.5]
    if not found:
        return "Membership inference was not measured"
    if not leaking:
        return "Membership inference is no better than chance" + " for any model" * (len(found) > 1)
    worst = max(leaking, key=lambda one: one.auc or 0)
    several = f"; {len(leaking)} of {len(found)} models leak" if len(found) > 1 else ""
    return f"{worst.variant[:1].upper()}{worst.variant[1:]} leaks most: AUC {worst.auc:.2f}{several}"


def _figure(view: Leaks) -> go.Figure:
    named = list(dict.fromkeys(one.role for one in view.found))
    return style.figure(
        [_marks(role, [one for one in view.found if one.role == role]) for role in named],
        view.title,
        x={"title": "AUC (0.5: chance level)", "range": list(view.reach)},
        y={"title": "", "type": "category", "showgrid": False, "categoryorder": "array",
           "categoryarray": [one.variant for one in reversed(view.found)]},
        height=110 + ROW * len(view.found),
        showlegend=False,
        shapes=[_half()],
    )  # fmt: skip


def _half() -> dict[str, Any]:
    line = {"color": style.INK, "dash": "dot", "width": 1.5}
    return {"type": "line", "x0": 0.5, "x1": 0.5, "y0": 0, "y1": 1, "yref": "paper", "line": line}


def _marks(role: str, found: Sequence[Membership]) -> dict[str, Any]:
    look = style.look(role)
    values = [(one.auc or 0, one.low or 0, one.high or 0) for one in found]
    return {
        "x": [value for value, _, _ in values],
        "y": [one.variant for one in found],
        "error_x": {
            "type": "data",
            "array": [high - value for value, _, high in values],
            "arrayminus": [value - low for value, low, _ in values],
            "color": style.tint(look.colour, 0.6),
            "thickness": 2,
        },
        "mode": "markers",
        "name": look.label,
        "marker": {"color": look.colour, "symbol": look.symbol, "size": 12},
        "hovertext": [
            f"{one.variant}: {verdict(one)}<br>{format.plural(one.members or 0, 'member')}, "
            f"{format.plural(one.others or 0, 'non-member')}"
            for one in found
        ],
        "hoverinfo": "text",
    }
