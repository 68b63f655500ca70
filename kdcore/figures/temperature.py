"""Softening over the whole range of temperatures: entropy of the answers, KL divergence between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from kdcore.figures import style
from kdcore.figures.distributions import Said
from kdcore.figures.softening import TEMPERATURES, divergence, entropy, pairs, soften


class Course(NamedTuple):
    """One model over `TEMPERATURES`: entropy in nats; KL(teacher ‖ it) in nats, None for the teacher itself."""

    name: str
    role: str
    entropy: NDArray[np.float64]
    divergence: NDArray[np.float64] | None


class Temperatures(NamedTuple):
    title: str
    now: float
    most: float
    courses: tuple[Course, ...]


def temperatures(said: Sequence[Said], now: float, several: bool = False) -> go.Figure:
    """Entropy, and KL from the first (the teacher) to the others, against T, with the current T marked.

    `several`: an image may have several labels, so each class is answered with yes or no, and these are summed.
    """
    return _figure(temperatures_view(said, now, several))


def temperatures_view(said: Sequence[Said], now: float, several: bool = False) -> Temperatures:
    """`said` is for one image (K,) or many (N, K), then means over them are shown. The first is the teacher."""
    logits = [pairs(one.logits) if several else np.asarray(one.logits) for one in said]
    courses = []
    for one, own in zip(said, logits, strict=True):
        spread = np.array([_mean(entropy(soften(own, t)), several) for t in TEMPERATURES])
        apart = np.array([_mean(divergence(logits[0], own, t), several) for t in TEMPERATURES])
        courses.append(Course(one.name, one.role, spread, None if one is said[0] else apart))
    count = np.asarray(said[0].logits).shape[-1]
    most = float(count * np.log(2) if several else np.log(count))
    spread_now = _mean(entropy(soften(logits[0], now)), several)
    title = f"At T = {now:g} the {said[0].name}'s answer has an entropy of {spread_now:.3g} of {most:.3g} nats"
    return Temperatures(title, now, most, tuple(courses))


def _mean(nats: NDArray[np.float64], several: bool) -> float:
    """Over the images; of several labels the classes' are summed first."""
    return float(nats.sum(axis=-1).mean() if several else nats.mean())


def _figure(view: Temperatures) -> go.Figure:
    ticks = [0.25, 0.5, 1, 2, 4, 8, 16, 32]
    dashes = style.dashes([course.role for course in view.courses])
    drawn = list(zip(view.courses, dashes, strict=True))
    traces = [_line(course, course.entropy, "y", dash) for course, dash in drawn]
    apart = [(course, dash) for course, dash in drawn if course.divergence is not None]
    lower = {}
    if apart:
        traces += [_line(course, course.divergence, "y2", dash) for course, dash in apart]
        kl = {"title": "KL from teacher (nats)", "rangemode": "tozero", "domain": [0, 0.44]}
        lower = {"yaxis2": style.axis(kl)}
    return style.figure(
        traces,
        view.title,
        x={
            "title": "Temperature (T, log scale)",
            "type": "log",
            "tickvals": ticks,
            "ticktext": [f"{tick:g}" for tick in ticks],
            "anchor": "y2" if apart else "y",
        },
        y={"title": "Entropy (nats)", "range": [0, 1.05 * view.most], "domain": [0.56 if apart else 0, 1]},
        height=390 if apart else 220,
        shapes=[_now(view.now)],
        **lower,
    )


def _now(temperature: float) -> dict[str, Any]:
    line = {"color": style.INK, "width": 1.5, "dash": "dot"}
    return {"type": "line", "x0": temperature, "x1": temperature, "y0": 0, "y1": 1, "yref": "paper", "line": line}


def _line(course: Course, values: NDArray[np.float64] | None, axis: str, dash: str) -> dict[str, Any]:
    return {
        "x": TEMPERATURES,
        "y": values,
        "yaxis": axis,
        "mode": "lines",
        "line": {"color": style.look(course.role).colour, "dash": dash},
        "name": course.name,
        "legendgroup": course.name,
        "showlegend": axis == "y",
        "hovertemplate": "T = %{x:g}: %{y:.3g} nats",
    }
