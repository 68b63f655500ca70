"""The figure of a prediction beside its answer, for the page and for the handout."""

from __future__ import annotations

import plotly.graph_objects as go

from kdcore.figures.prediction import Curves, Line, curves, number_line
from kdcore.lessons.predictions import Answer, Curve, Number, Prediction, Value


def beside(asked: Prediction, predicted: Value, answer: Answer | None) -> go.Figure | None:
    """Both in one chart; the prediction alone without an answer. Choices, or a number alone, have no chart."""
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
    return Line(title, f"{asked.label} ({asked.unit})", asked.low, asked.high, predicted, answer.value, interval)


def _curves(asked: Curve, predicted: Value, answer: Answer | None) -> Curves:
    drawn = _numbers(predicted)
    assert drawn
    view = Curves(asked.label, asked.x_title, asked.unit.capitalize(), asked.low, asked.high, asked.x, drawn)
    if answer is None:
        return view
    measured, lows, highs = map(_numbers, answer[:3])
    return view._replace(title=f"{asked.label}: predicted and measured", measured=measured, lows=lows, highs=highs)


def _numbers(value: Value | None) -> tuple[float, ...] | None:
    return tuple(float(one) for one in value) if isinstance(value, tuple) else None
