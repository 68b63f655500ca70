"""What a lesson is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import plotly.graph_objects as go

from kdcore import presets
from kdcore.lessons.evidence import Evidence
from kdcore.lessons.predictions import Answer, Prediction
from kdcore.recipe import Recipe, override, parse


class Source(NamedTuple):
    """A paper: who and when, its title, where to read it."""

    authors: str
    title: str
    url: str


class Change(NamedTuple):
    """What to try next: in words, and the `--set` assignments that make it of the lesson's Recipe."""

    words: str
    assignments: tuple[str, ...]


class Symptoms(NamedTuple):
    """What the reader of a lesson sees before the prediction: a table in Markdown, and a figure."""

    table: str
    figure: go.Figure


@dataclass(frozen=True)
class Lesson:
    """A question, the prediction that it asks for, the Recipe that answers it, and why the answer is what it is.

    `measure` and `explain` are pure functions of a finished run; every number in the explanation comes from it. The
    Recipe is a preset's or the lesson's own `document`. `formula` is LaTeX. `figures`: the first stands beside the
    answer, the last one beside the explanation. `table`: numbers in Markdown that go with it. `hands_on` names a part
    of the page that the reader can play with. A lesson with `symptoms` is run first: its reader sees them, and then
    says what is behind them.
    """

    name: str
    order: int
    title: str
    icon: str
    question: str
    prediction: Prediction
    measure: Callable[[Evidence], Answer]
    explain: Callable[[Evidence], str]
    formula: str
    figures: Callable[[Evidence], tuple[go.Figure, ...]]
    sources: tuple[Source, ...]
    next: Change
    preset: str | None = None
    document: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)
    table: Callable[[Evidence], str] | None = None
    hands_on: str | None = None
    symptoms: Callable[[Evidence], Symptoms] | None = None

    @cached_property
    def recipe(self) -> Recipe:
        """What the lesson runs."""
        if self.preset:
            return presets.preset(self.preset).recipe
        return parse({"name": self.title, **self.document})

    @cached_property
    def next_recipe(self) -> Recipe:
        """What to try next, as the form opens with it."""
        return parse(override(self.recipe.document(), self.next.assignments))
