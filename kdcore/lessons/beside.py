"""The figure of a prediction beside its answer, for the page and for the handout."""

from __future__ import annotations

import plotly.graph_objects as go

from kdcore.figures.prediction import Curves, Line, curves, number_line
from kdcore.lessons.predictions import Answer, Curve, Number, Prediction, Value


def beside(asked: Prediction, predicted: Value, answer: Answer | None) -> go.Figure | None:
    """Both in one chart; the prediction alone without an answer. A choice, or a number alone, has no chart."""
    if isinstance(asked, Curve):
        return curves(_curves(asked, predicted, answer))
    if isinstance(asked, Number) and answer:
        return number_line(_line(asked, predicted, answer))
    return None


def _line(asked: Number, predicted: Value, answer: Answer) -> Line:
    assert isinstance(predicted, float)
    assert isinstance(answer.value, float)
    interval = None
    if isinstance(answer.low, float) and isinstance(answer.high, float):
        interval = (answer.low, answer.high)
    title = f"{asked.label}: predicted {asked.words(predicted)}, measured {asked.words(answer.value)}"
    return Line(title, _axis(asked), asked.low, asked.high, predicted, answer.value, interval)


def _curves(asked: Curve, predicted: Value, answer: Answer | None) -> Curves:
    assert isinstance(predicted, tuple)
    view = Curves(asked.label, asked.x_title, _axis(asked), asked.low, asked.high, asked.x, predicted)
    if answer is None:
        return view
    measured, lows, highs = (part if isinstance(part, tuple) else None for part in answer[:3])
    return view._replace(title=f"{asked.label}: predicted and measured", measured=measured, lows=lows, highs=highs)


def _axis(asked: Number | Curve) -> str:
    return f"{asked.label} ({asked.unit})"
