"""How far somebody has come in a lesson: one JSON file a lesson, `lessons/<name>.json` in the workspace, or among what
belongs to a person of a class."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from kdcore.files import Damaged, lock, read_json, write_json
from kdcore.jobs import api
from kdcore.lessons.lesson import Lesson
from kdcore.lessons.predictions import BadPrediction, Value
from kdcore.plan.plan import plan
from kdcore.problems import RecipeError
from kdcore.workspace import access, people
from kdcore.workspace.access import Person
from kdcore.workspace.index import Index
from kdcore.workspace.plans import Variant
from kdcore.workspace.workspace import UnknownRun, Workspace

Step = Literal["predict", "measure", "result", "why", "next"]
STEPS: tuple[Step, ...] = get_args(Step)


class Progress(NamedTuple):
    """`prediction`: None until it is committed, at `committed` (Unix seconds). `run`: the one that answers. `reached`:
    the furthest step that was opened. `trouble`: why a file that is there was not read."""

    prediction: Value | None = None
    committed: float | None = None
    run: str | None = None
    reached: Step = "predict"
    trouble: str = ""


class AlreadyCommitted(ValueError):
    """A committed prediction stays, until the lesson is reset."""


def read(workspace: Workspace, lesson: Lesson, person: Person | None = None) -> Progress:
    """The progress of `person`, or of whoever asks. A file that cannot be read counts as not started, and `trouble`
    says so."""
    path = _path(workspace, lesson, person)
    try:
        return _progress(lesson, read_json(path))
    except FileNotFoundError:
        return Progress()
    except Damaged as error:
        return Progress(trouble=error.reason)
    except (BadPrediction, KeyError, TypeError, ValueError) as error:
        return Progress(trouble=f"does not fit this lesson: {error}")


def commit(workspace: Workspace, lesson: Lesson, value: Any) -> Progress:
    """Keeps the prediction. Raises BadPrediction, Refused, and AlreadyCommitted where there is one."""
    accepted = lesson.prediction.accept(value)
    return _change(workspace, lesson, lambda known: _committed(known, accepted))


def follow(workspace: Workspace, lesson: Lesson, run_id: str) -> Progress:
    """Keeps which run answers the lesson."""
    return _change(workspace, lesson, lambda known: known._replace(run=run_id))


def reach(workspace: Workspace, lesson: Lesson, step: Step) -> Progress:
    """Keeps that this step was opened, if it is the furthest so far."""
    known = read(workspace, lesson)
    if STEPS.index(step) <= STEPS.index(known.reached) or access.to_launch():
        return known
    return _change(workspace, lesson, lambda now: now._replace(reached=step))


def reset(workspace: Workspace, lesson: Lesson) -> None:
    """Forgets the lesson's progress. The run and its models stay. Raises Refused."""
    access.require(access.to_launch())
    _path(workspace, lesson).unlink(missing_ok=True)


def answering(workspace: Workspace, lesson: Lesson) -> str | None:
    """The newest finished run of the lesson's Recipe, if there is one."""
    index = Index(workspace)
    index.sync()
    wanted = plan(lesson.recipe, workspace).variants
    finished = (row.id for row in index.runs() if row.state == "done")
    return next((run_id for run_id in finished if _answers(workspace, lesson, wanted, run_id)), None)


def start(workspace: Workspace, lesson: Lesson) -> str:
    """The run that answers the lesson: a finished one where there is one, else a new one. Raises RecipeError."""
    run_id = answering(workspace, lesson) or api.submit(workspace, lesson.recipe, lesson.preset)
    follow(workspace, lesson, run_id)
    return run_id


def _answers(workspace: Workspace, lesson: Lesson, wanted: Sequence[Variant], run_id: str) -> bool:
    """Whether the run has the same models, by their keys, and measured the same of them."""
    try:
        if _models(workspace.plan(run_id).variants) != _models(wanted):
            return False
        return api.recipe(workspace, run_id).measure == lesson.recipe.measure
    except (Damaged, UnknownRun, RecipeError):
        return False


def _models(variants: Sequence[Variant]) -> list[tuple[str, tuple[str, ...]]]:
    """What a plan makes, whatever it says about it."""
    return [(one.name, tuple(one.keys)) for one in variants]


def _committed(known: Progress, value: Value) -> Progress:
    if known.prediction is not None:
        raise AlreadyCommitted("a prediction stays as it is; reset the lesson to make another")
    return Progress(prediction=value, committed=time.time(), run=known.run, reached="measure")


def _change(workspace: Workspace, lesson: Lesson, change: Any) -> Progress:
    access.require(access.to_launch())
    path = _path(workspace, lesson)
    path.parent.mkdir(parents=True, exist_ok=True)
    with lock(path.with_suffix(".lock")):
        changed: Progress = change(read(workspace, lesson))._replace(trouble="")
        write_json(path, {name: value for name, value in changed._asdict().items() if name != "trouble"})
    return changed


def _progress(lesson: Lesson, document: Mapping[str, Any]) -> Progress:
    prediction, run, committed = document["prediction"], document["run"], document["committed"]
    if prediction is not None:
        prediction = lesson.prediction.accept(prediction)
    if not isinstance(run, str | None) or not isinstance(committed, int | float | None):
        raise ValueError("its fields are of another type")
    if document["reached"] not in STEPS:
        raise ValueError("it names a step that does not exist")
    if prediction is None:
        return Progress(run=run)
    return Progress(prediction, committed, run, document["reached"])


def _path(workspace: Workspace, lesson: Lesson, person: Person | None = None) -> Path:
    return people.own(workspace, person or access.who()) / "lessons" / f"{lesson.name}.json"
