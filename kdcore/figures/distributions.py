"""One image's softened answers: teacher beside students and the label, on one scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray

from kdcore.figures import style
from kdcore.figures.softening import soften, yes
from kdcore.report import format

MANY = 20  # more classes than this, and only the teacher's most likely ones are drawn
LIKELIEST = 10


class Answer(NamedTuple):
    """What one model says to the image: `probabilities` is (B,), one for each bar; of one label they sum to 1."""

    name: str
    role: str
    probabilities: NDArray[np.float64]


class Distributions(NamedTuple):
    """`bars` names the classes that are drawn, the last of many being all the rest; `labels` (B,) is 1 for the true."""

    title: str
    bars: tuple[str, ...]
    labels: NDArray[np.float64]
    answers: tuple[Answer, ...]
    label: str = "Label (one-hot)"


class Said(NamedTuple):
    """Logits (K,) of one model for one image."""

    name: str
    role: str
    logits: ArrayLike


def distributions(
    said: Sequence[Said], classes: Sequence[str], label: int | ArrayLike, temperature: float
) -> go.Figure:
    """Bars of the label and of every model's answer at this temperature, from 0 to 100 %.

    `label` is the class's index; or (K,) of 0 and 1 where an image may have several, each answered with yes or no.
    """
    return _figure(distributions_view(said, classes, label, temperature))


def distributions_view(
    said: Sequence[Said], classes: Sequence[str], label: int | ArrayLike, temperature: float
) -> Distributions:
    several = np.ndim(label) == 1
    labels = np.asarray(label, dtype=np.float64) if several else np.eye(len(classes))[int(np.asarray(label))]
    answers = tuple(Answer(one.name, one.role, (yes if several else soften)(one.logits, temperature)) for one in said)
    if not answers:
        return Distributions("Choose a model", tuple(classes), labels, ())
    name = "Labels" if several else "Label (one-hot)"
    title = (_decided if several else _title)(answers[0], classes, labels, temperature)
    if len(classes) <= MANY:
        return Distributions(title, tuple(classes), labels, answers, name)
    order = np.lexsort((-answers[0].probabilities, -labels))
    shown = order[: LIKELIEST + int(labels.sum())].tolist()
    bars = tuple(classes[index] for index in shown)
    rest = () if several else (f"{len(classes) - len(shown)} others",)
    few = tuple(_few(answer, shown, bool(rest)) for answer in answers)
    return Distributions(title, (*bars, *rest), np.append(labels[shown], [0.0] * len(rest)), few, name)


def _few(answer: Answer, shown: list[int], rest: bool) -> Answer:
    """The shown classes, and where it makes sense all the rest as one."""
    likely = answer.probabilities[shown]
    return answer._replace(probabilities=np.append(likely, max(0.0, 1 - likely.sum())) if rest else likely)


def _title(first: Answer, classes: Sequence[str], labels: NDArray[np.float64], temperature: float) -> str:
    label = int(labels.argmax())
    others = np.delete(np.arange(len(classes)), label)
    second = int(others[np.argmax(first.probabilities[others])])
    shares = f"{format.percent(first.probabilities[label])} to {classes[label]}"
    return (
        f"At T = {temperature:g} the {first.name} assigns {shares} (the label), "
        f"{format.percent(first.probabilities[second])} to {classes[second]}"
    )


def _decided(first: Answer, classes: Sequence[str], labels: NDArray[np.float64], temperature: float) -> str:
    """What is detected in an image of several labels, and its labels."""
    yeses = np.flatnonzero(first.probabilities > 0.5).tolist()
    found = [f"{classes[at]} ({format.percent(first.probabilities[at])})" for at in yeses]
    there = [classes[at] for at in np.flatnonzero(labels).tolist()]
    return (
        f"At T = {temperature:g} the {first.name} detects {', '.join(found) or 'nothing'}; "
        f"labels: {', '.join(there) or 'none'}"
    )


def _figure(view: Distributions) -> go.Figure:
    hollow = {"color": style.CLEAR, "line": {"color": style.INK, "width": 1.5}}
    bars = [_bars(view, view.label, view.labels, hollow)]
    for answer in view.answers:
        fill = {"color": style.look(answer.role).colour, "pattern": {"shape": style.hatching(answer.role)}}
        bars.append(_bars(view, answer.name, answer.probabilities, fill))
    return style.probabilities(bars, view.title, height=340)


def _bars(view: Distributions, name: str, shares: NDArray[np.float64], fill: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "bar",
        "x": view.bars,
        "y": 100 * shares,
        "name": name,
        "marker": fill,
        "hovertemplate": f"{name}: %{{y:.3g}} % for %{{x}}<extra></extra>",
    }
