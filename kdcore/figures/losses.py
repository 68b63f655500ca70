"""Training losses of several students under letters, on a log scale, where their names stay hidden."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

from kdcore.figures import style

DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
COLOURS = tuple(
    style.ROLES[role].colour for role in ("distilled", "teacher", "pruned", "quantized", "shared", "low_rank")
)


class Loss(NamedTuple):
    """`losses`: the mean of each epoch."""

    name: str
    losses: tuple[float, ...]


def losses(found: Sequence[Loss], title: str) -> go.Figure:
    """Loss against the epoch, a line each."""
    return style.figure(
        [_line(one, place) for place, one in enumerate(found)],
        title,
        x={"title": "Epoch"},
        y={"title": "Training loss (log scale)", "type": "log"},
        height=270,
    )


def _line(one: Loss, place: int) -> dict[str, Any]:
    return {
        "x": list(range(1, len(one.losses) + 1)),
        "y": one.losses,
        "mode": "lines",
        "name": one.name,
        "line": {"color": COLOURS[place % len(COLOURS)], "dash": DASHES[place % len(DASHES)], "width": 2.5},
        "hovertemplate": f"{one.name}, epoch %{{x}}: %{{y:.3g}}<extra></extra>",
    }
