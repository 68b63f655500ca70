"""Classes whose recall differs from that of the file that a variant is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

from kdcore.figures import style
from kdcore.report import format
from kdcore.report.class_changes import Change

SHOWN = 20  # of more classes those that changed most
ROW = 24  # pixels a class
LEVEL = 0.05


class Changes(NamedTuple):
    """`rows`: the classes that are drawn, in their usual order, of `of` altogether."""

    title: str
    role: str
    against: str
    rows: tuple[Change, ...]
    of: int


def class_changes(found: Sequence[Change], name: str, role: str, against: str) -> go.Figure:
    """The difference of recall by class with its interval; `name` and `against` are the two variants."""
    return _figure(class_changes_view(found, name, role, against))


def class_changes_view(found: Sequence[Change], name: str, role: str, against: str) -> Changes:
    most = sorted(found, key=lambda one: -abs(one.points))[:SHOWN]
    rows = tuple(one for one in found if one in most)
    return Changes(_title(found, name, against), role, against, rows, len(found))


def _title(found: Sequence[Change], name: str, against: str) -> str:
    name = name[:1].upper() + name[1:]
    if not any(one.gained or one.lost for one in found):
        return f"{name} and {against} are correct on the same examples"
    telling = [one for one in found if one.p <= LEVEL]
    if telling:
        most = max(telling, key=lambda one: abs(one.points))
        return f"{name} has {_points(most)} {_how(most)} recall on {most.name} than {against}"
    worst = min(found, key=lambda one: one.points)
    if worst.points >= 0:
        return f"{name} has no lower recall than {against} on any class"
    return (
        f"{name} has {_points(worst)} {_how(worst)} recall on {worst.name} than {against}, "
        f"not significant among {len(found)} classes"
    )


def _how(one: Change) -> str:
    return "lower" if one.points < 0 else "higher"


def _points(one: Change) -> str:
    return format.points(abs(one.points)).removeprefix("+")


def _figure(view: Changes) -> go.Figure:
    colour = style.look(view.role).colour
    some = f" ({len(view.rows)} of {view.of} classes)" if len(view.rows) < view.of else ""
    return style.figure(
        [_bars(view.rows, colour)],
        view.title,
        x={"title": f"Change in recall (points){some}", "zeroline": True,
           "zerolinecolor": style.INK},
        y={"title": "", "type": "category", "showgrid": False, "autorange": "reversed", "dtick": 1},
        height=90 + ROW * max(len(view.rows), 6),
        showlegend=False,
    )  # fmt: skip


def _bars(rows: Sequence[Change], colour: str) -> dict[str, Any]:
    return {
        "type": "bar",
        "orientation": "h",
        "x": [one.points for one in rows],
        "y": [one.name for one in rows],
        "marker": {"color": [style.tint(colour, 1.0 if one.p <= LEVEL else 0.45) for one in rows]},
        "error_x": {
            "type": "data",
            "array": [one.high - one.points for one in rows],
            "arrayminus": [one.points - one.low for one in rows],
            "color": style.INK,
            "thickness": 1,
            "width": 3,
        },
        "hovertext": [
            f"{one.name}: {format.points(one.points)} ({format.signed(one.low)} to {format.signed(one.high)}); "
            f"of {one.n} examples {one.gained} newly right, {one.lost} newly wrong; "
            f"{format.p_value(one.p)} after Holm's correction"
            for one in rows
        ],
        "hoverinfo": "text",
    }
