"""One image's answers beside each other, and how sure each model stays of the clean answer as the image gets worse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go

from kdcore.figures import style
from kdcore.tryout.answers import Answer, Fall

BARS = 6  # classes that are drawn, the likeliest in any answer; but all of them where they are few
FEW = 10
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")  # variants of one role share its colour
FADES = (1.0, 0.75, 0.55, 0.4, 0.3)


class Answered(NamedTuple):
    """What one variant answers."""

    name: str
    role: str
    answer: Answer


class Bars(NamedTuple):
    """`shares[v][b]` in per cent: what variant v gives to class b."""

    title: str
    classes: tuple[str, ...]
    shares: tuple[tuple[float, ...], ...]


def answers(found: Sequence[Answered], classes: Sequence[str]) -> go.Figure:
    """Bars of the likeliest classes for every variant, from 0 to 100 %. At least one variant."""
    view, roles = answers_view(found, classes), {one.name: one.role for one in found}
    bars = [
        {
            "type": "bar",
            "x": view.classes,
            "y": shares,
            "name": one.name,
            "marker": {
                "color": style.look(one.role).colour,
                "pattern": {"shape": style.hatching(one.role)},
                "opacity": FADES[_earlier(roles, one.name) % len(FADES)],
            },
            "hovertemplate": f"{one.name}: %{{y:.3g}} % for %{{x}}<extra></extra>",
        }
        for one, shares in zip(found, view.shares, strict=True)
    ]
    return style.probabilities(bars, view.title, height=300)


def answers_view(found: Sequence[Answered], classes: Sequence[str]) -> Bars:
    highest = np.max([one.answer.probabilities for one in found], axis=0)
    many = len(classes) > FEW
    shown = np.sort(np.argsort(-highest, kind="stable")[:BARS]).tolist() if many else range(len(classes))
    shares = tuple(tuple(100 * one.answer.probabilities[list(shown)]) for one in found)
    return Bars(_agreement(found, classes), tuple(classes[at] for at in shown), shares)


def spelled(picked: Sequence[int], classes: Sequence[str]) -> str:
    """The chosen classes in words."""
    return ", ".join(classes[one] for one in picked) or "nothing"


def _agreement(found: Sequence[Answered], classes: Sequence[str]) -> str:
    """Who says what: the largest group first."""
    groups: dict[str, list[str]] = {}
    for one in found:
        groups.setdefault(spelled(one.answer.picked, classes), []).append(one.name)
    said = sorted(groups.items(), key=lambda group: -len(group[1]))
    if len(found) == 1:
        return f"{found[0].name} answers {said[0][0]}"
    if len(said) == 1:
        return f"All {len(found)} variants answer {said[0][0]}"
    return "; ".join(f"{_counted(names)} {'answer' if len(names) > 1 else 'answers'} {what}" for what, names in said)


def _counted(names: Sequence[str]) -> str:
    """One or two by name, more as a number."""
    return " and ".join(names) if len(names) <= 2 else f"{len(names)} variants"


def falls(
    found: Mapping[str, Fall], roles: Mapping[str, str], strengths: Sequence[float], *,
    answer: str, disturbance: str, unit: str, now: float,
) -> go.Figure:  # fmt: skip
    """Confidence in the clean answer against the strength of one disturbance, a line for each variant.

    `found` and `roles` by the variant's name. `answer`: the clean answer in words. `now`: the strength that is chosen.
    """
    lines = [
        {
            "x": strengths,
            "y": [100 * one for one in fall.supports],
            "mode": "lines+markers",
            "name": name,
            "line": {"color": style.look(roles[name]).colour, "dash": DASHES[_earlier(roles, name) % len(DASHES)]},
            "marker": {"symbol": style.look(roles[name]).symbol, "size": 7},
            "hovertemplate": f"{name}: %{{y:.1f}} % at %{{x}}<extra></extra>",
        }
        for name, fall in found.items()
    ]
    mark = {"type": "line", "x0": now, "x1": now, "y0": 0, "y1": 1, "yref": "paper"}
    mark["line"] = {"color": style.INK, "dash": "dot", "width": 1}
    return style.figure(
        lines,
        _first(found, disturbance.partition(" (")[0].lower(), unit),
        x={"title": disturbance},
        y={"title": f"Confidence in “{answer}” (%)", "range": [0, 103]},
        height=300,
        shapes=[mark],
    )


def _earlier(roles: Mapping[str, str], name: str) -> int:
    """How many variants before this one have its role's colour."""
    before = list(roles)[: list(roles).index(name)]
    return sum(style.look(roles[one]).colour == style.look(roles[name]).colour for one in before)


def _first(found: Mapping[str, Fall], disturbance: str, unit: str) -> str:
    """Which variant is the first to answer something else."""
    broken = {name: fall.breaks for name, fall in found.items() if fall.breaks is not None}
    if not broken:
        return f"No variant changes its answer with {disturbance}"
    first = min(broken.values())
    names = [name for name, at in broken.items() if at == first]
    if first == 0:
        return f"Without {disturbance} {_counted(names)} already {_verb(names, 'disagree')}"
    return f"{_counted(names)} {_verb(names, 'break')} first, at {first:g}{unit} {disturbance}"


def _verb(names: Sequence[str], verb: str) -> str:
    return verb if len(names) > 1 else f"{verb}s"
