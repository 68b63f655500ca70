"""One image's softened answers: teacher beside students and the label, on one scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray

from kdcore.figures import style
from kdcore.figures.softening import soften
from kdcore.report import words

MANY = 20  # more classes than this, and only those are drawn that the teacher finds likeliest
LIKELIEST = 10


class Answer(NamedTuple):
    """What one model says to the image: `probabilities` is (B,), one for each bar, and sums to 1."""

    name: str
    role: str
    probabilities: NDArray[np.float64]


class Distributions(NamedTuple):
    """`bars` names the classes that are drawn, the last of many being all the rest; `label` is one of them."""

    title: str
    bars: tuple[str, ...]
    label: int
    answers: tuple[Answer, ...]


class Said(NamedTuple):
    """Logits (K,) of one model for one image."""

    name: str
    role: str
    logits: ArrayLike


def distributions(said: Sequence[Said], classes: Sequence[str], label: int, temperature: float) -> go.Figure:
    """Bars of the label and of every model's answer at this temperature, from 0 to 100 %."""
    return _figure(distributions_view(said, classes, label, temperature))


def distributions_view(said: Sequence[Said], classes: Sequence[str], label: int, temperature: float) -> Distributions:
    answers = tuple(Answer(one.name, one.role, soften(one.logits, temperature)) for one in said)
    title = _title(answers, classes, label, temperature)
    if len(classes) <= MANY or not answers:
        return Distributions(title, tuple(classes), label, answers)
    order = np.argsort(-answers[0].probabilities, kind="stable")
    shown = [label, *order[order != label][:LIKELIEST].tolist()]
    bars = (*(classes[index] for index in shown), f"{len(classes) - len(shown)} others")
    return Distributions(title, bars, 0, tuple(_few(answer, shown) for answer in answers))


def _few(answer: Answer, shown: list[int]) -> Answer:
    """The shown classes, and all the rest as one."""
    likely = answer.probabilities[shown]
    return answer._replace(probabilities=np.append(likely, max(0.0, 1 - likely.sum())))


def _title(answers: Sequence[Answer], classes: Sequence[str], label: int, temperature: float) -> str:
    if not answers:
        return "Choose a model"
    first = answers[0]
    others = np.delete(np.arange(len(classes)), label)
    second = int(others[np.argmax(first.probabilities[others])])
    shares = f"{words.percent(first.probabilities[label])} to {classes[label]}"
    return (
        f"At T = {temperature:g} the {first.name} gives {shares} (the label), "
        f"{words.percent(first.probabilities[second])} to {classes[second]}"
    )


def _figure(view: Distributions) -> go.Figure:
    one_hot = np.eye(len(view.bars))[view.label]
    hollow = {"color": style.CLEAR, "line": {"color": style.INK, "width": 1.5}}
    bars = [_bars(view, "Label (one-hot)", one_hot, hollow)]
    for answer in view.answers:
        pattern = {"shape": "x" if answer.role == "hard_labels" else ""}
        fill = {"color": style.look(answer.role).colour, "pattern": pattern}
        bars.append(_bars(view, answer.name, answer.probabilities, fill))
    return style.figure(
        bars,
        view.title,
        x={"title": "Class", "type": "category"},
        y={"title": "Probability (%)", "range": [0, 101]},
        height=340,
        barmode="group",
        bargap=0.25,
        bargroupgap=0.05,
    )


def _bars(view: Distributions, name: str, shares: NDArray[np.float64], fill: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "bar",
        "x": view.bars,
        "y": 100 * shares,
        "name": name,
        "marker": fill,
        "hovertemplate": f"{name}: %{{y:.3g}} % for %{{x}}<extra></extra>",
    }
