"""A finished lesson as one HTML page to hand in. It opens without a network: figures and plotly.js are inside."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from markdown_it import MarkdownIt
from markupsafe import Markup

from kdcore.figures.offline import drawn, page
from kdcore.lessons.beside import beside
from kdcore.lessons.evidence import Evidence
from kdcore.lessons.lesson import Lesson
from kdcore.lessons.predictions import Answer, Choice, Prediction
from kdcore.lessons.progress import Progress

TEMPLATE = Path(__file__).with_name("handout.html")


def handout(lesson: Lesson, progress: Progress, found: Evidence) -> str:
    """The page. Raises ValueError without a prediction, Incomplete where the run lacks what the lesson needs."""
    if progress.prediction is None or progress.committed is None:
        raise ValueError("a lesson is handed in with a prediction")
    answer = lesson.measure(found)
    own = beside(lesson.prediction, progress.prediction, answer)
    return page(
        TEMPLATE,
        lesson=lesson,
        question=_html(lesson.question),
        predicted=lesson.prediction.words(progress.prediction),
        committed=_moment(progress.committed),
        measured=measured(lesson.prediction, answer),
        answer=answer,
        score=lesson.prediction.score(progress.prediction, answer),
        figures=[drawn(figure, toolbar=False) for figure in (own, *lesson.figures(found)) if figure],
        explanation=_html(lesson.explain(found)),
        table=_html(lesson.table(found)) if lesson.table else "",
        formula=Markup(convert(lesson.formula, display="block")),
        run=found.run_id,
        finished=_moment(found.files.result.get("finished")),
        environment=list(_environment(found.environment)),
        recipe=found.recipe.to_json(),
        today=_moment(time.time()),
    )


def measured(asked: Prediction, answer: Answer) -> str:
    """The answer with its interval, in words."""
    value = asked.words(answer.value)
    if isinstance(asked, Choice) or answer.low is None or answer.high is None or isinstance(answer.low, tuple):
        return value
    return f"{value} (95 % interval {asked.words(answer.low)} to {asked.words(answer.high)})"


def _html(markdown: str) -> Markup:
    return Markup(MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown))


def _environment(known: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for name, value in known.items():
        if isinstance(value, str | int | float):
            yield _label(name), str(value)
        elif isinstance(value, Mapping):
            simple = {key: one for key, one in value.items() if isinstance(one, str | int | float)}
            yield _label(name), ", ".join(f"{key} {one}" for key, one in simple.items())


def _label(name: str) -> str:
    return name.upper() if name in ("cpu", "os") else name.replace("_", " ").capitalize()


def _moment(seconds: float | None) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds)) if seconds else "at an unknown time"
