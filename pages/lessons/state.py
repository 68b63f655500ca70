"""What every screen of a lesson needs: where it stands, its run, what the run shows, and where to go."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import streamlit as st

from kdcore.lessons import progress
from kdcore.lessons.evidence import Evidence
from kdcore.lessons.lesson import Lesson
from kdcore.lessons.progress import STEPS, Progress, Step
from kdcore.workspace.index import RunRow
from kdcore.workspace.workspace import Workspace
from pages.shared import store

TITLES: dict[Step, str] = {
    "predict": "Predict",
    "measure": "Measure",
    "result": "Compare",
    "why": "Explain",
    "next": "Go on",
}


class Standing(NamedTuple):
    """A lesson, how far it is, and its run as it is now; None where there is none, or it was deleted."""

    lesson: Lesson
    progress: Progress
    run: RunRow | None

    @property
    def measured(self) -> bool:
        return self.run is not None and self.run.state == "done"

    @property
    def furthest(self) -> Step:
        """The last step that may be opened."""
        if self.progress.prediction is None:
            return "predict"
        return "next" if self.measured else "measure"

    @property
    def finished(self) -> bool:
        return self.measured and self.progress.reached == "next"

    def open(self, step: Step) -> bool:
        return STEPS.index(step) <= STEPS.index(self.furthest)


def standing(lesson: Lesson) -> Standing:
    """Where a lesson stands; the index is up to date since the page was opened."""
    known = progress.read(store.workspace(), lesson)
    return Standing(lesson, known, store.index().run(known.run) if known.run else None)


def evidence(run: RunRow) -> Evidence:
    """What the finished run shows, read once."""
    here = store.workspace()
    result = store.identity(here.runs / run.id / "result.json")
    return _evidence(str(here.root), run.id, (result, store.identity(here.models), store.identity(here.sessions)))


@st.cache_resource(max_entries=20, show_spinner=False)
def _evidence(root: str, run_id: str, identity: object) -> Evidence:
    return Evidence(Workspace(Path(root)), run_id)


def go(lesson: str | None, step: Step | None = None) -> None:
    """Goes to a lesson's step, or without one to the list."""
    asked = {"lesson": lesson, "step": step}
    st.query_params.from_dict({name: value for name, value in asked.items() if value})
