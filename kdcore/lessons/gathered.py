"""The answers of a class to one lesson: who predicted what, and what their runs measured."""

from __future__ import annotations

import time
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from kdcore.files import Damaged
from kdcore.lessons import find, progress
from kdcore.lessons.evidence import Evidence, Incomplete
from kdcore.lessons.handout import measured
from kdcore.lessons.lesson import Lesson
from kdcore.lessons.predictions import Answer
from kdcore.problems import RecipeError
from kdcore.workspace import people
from kdcore.workspace.access import Person
from kdcore.workspace.index import Index
from kdcore.workspace.workspace import UnknownRun, Workspace


class Answered(NamedTuple):
    """What one person made of a lesson. `committed`: Unix seconds. `measured`: None until their run is done, and
    `right`, whether the prediction agrees with it, until then and without a prediction."""

    person: str
    predicted: str | None
    committed: float | None
    measured: str | None
    right: bool | None
    run: str | None
    state: str | None
    reached: str


def gather(workspace: Workspace, lesson: Lesson) -> list[Answered]:
    """Those who have begun the lesson, in the order in which they joined the class."""
    index = Index(workspace)
    index.sync()
    found = []
    for person, known in people.everybody(workspace).items():
        at = progress.read(workspace, lesson, Person(person, known.name, "look"))
        if at.prediction is None and at.run is None:
            continue
        row = index.run(at.run) if at.run else None
        answer = _measured(workspace.root, lesson.name, row.id, row.finished) if row and row.state == "done" else None
        asked = lesson.prediction
        found.append(
            Answered(
                person=known.name,
                predicted=None if at.prediction is None else asked.words(at.prediction),
                committed=at.committed,
                measured=measured(asked, answer) if answer else None,
                right=asked.score(at.prediction, answer).hit if answer and at.prediction is not None else None,
                run=at.run,
                state=row.condition if row else None,
                reached=at.reached,
            )
        )
    return found


def table(found: list[Answered]) -> pd.DataFrame:
    """The answers, a row a person, with the words of a table."""
    when = "%Y-%m-%d %H:%M"
    columns = {
        "person": [one.person for one in found],
        "predicted": [one.predicted for one in found],
        "committed": [time.strftime(when, time.localtime(one.committed)) if one.committed else None for one in found],
        "measured": [one.measured for one in found],
        "right": [None if one.right is None else "yes" if one.right else "no" for one in found],
        "run": [one.run for one in found],
        "state": [one.state for one in found],
        "step": [one.reached for one in found],
    }
    return pd.DataFrame(columns)


@lru_cache(maxsize=1024)
def _measured(root: Path, lesson: str, run_id: str, _finished: float | None) -> Answer | None:
    """What the run that ended then says; None where it lacks something."""
    try:
        return find(lesson).measure(Evidence(Workspace(root), run_id))
    except (Damaged, Incomplete, UnknownRun, RecipeError, FileNotFoundError):
        return None
