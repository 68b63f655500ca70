"""Predictions are kept on disk, once, and survive whatever happens to the file."""

import json

import pytest

from kdcore import lessons
from kdcore.lessons import progress
from kdcore.lessons.predictions import BadPrediction
from kdcore.lessons.progress import AlreadyCommitted, Progress

LESSON = lessons.find("why-soft-targets")


def test_a_lesson_begins_without_a_prediction_and_keeps_the_first_one(workspace):
    assert progress.read(workspace, LESSON) == Progress()
    progress.commit(workspace, LESSON, 5)
    with pytest.raises(AlreadyCommitted):
        progress.commit(workspace, LESSON, 9)
    known = progress.read(workspace, LESSON)
    assert (known.prediction, known.reached, known.run) == (5.0, "measure", None)


def test_what_cannot_be_is_not_kept(workspace):
    with pytest.raises(BadPrediction):
        progress.commit(workspace, LESSON, 1000)
    assert progress.read(workspace, LESSON) == Progress()


def test_the_run_and_the_furthest_step_are_kept(workspace):
    progress.commit(workspace, LESSON, 5)
    progress.follow(workspace, LESSON, "261128-000000-aaaaaa")
    progress.reach(workspace, LESSON, "why")
    progress.reach(workspace, LESSON, "result")
    known = progress.read(workspace, LESSON)
    assert (known.prediction, known.run, known.reached) == (5.0, "261128-000000-aaaaaa", "why")


def test_a_reset_forgets_it(workspace):
    progress.commit(workspace, LESSON, 5)
    progress.reset(workspace, LESSON)
    progress.reset(workspace, LESSON)
    assert progress.commit(workspace, LESSON, 9).prediction == 9.0


@pytest.mark.parametrize(
    "change",
    [
        {"prediction": 1000},
        {"prediction": "a"},
        {"run": 3},
        {"reached": "nowhere"},
        {"committed": "today"},
        {"schema": 99},
    ],
)
def test_a_file_that_makes_no_sense_counts_as_not_started_and_says_so(workspace, change):
    progress.commit(workspace, LESSON, 5)
    path = workspace.root / "lessons" / "why-soft-targets.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    known = progress.read(workspace, LESSON)
    assert known.trouble
    assert known.prediction is None
    assert progress.commit(workspace, LESSON, 7).prediction == 7.0


@pytest.mark.parametrize("content", ["", "{", "[]", "null"])
def test_so_does_a_broken_one(workspace, content):
    path = workspace.root / "lessons" / "why-soft-targets.json"
    path.parent.mkdir()
    path.write_text(content)
    known = progress.read(workspace, LESSON)
    assert known.prediction is None
    assert known.trouble


def test_a_finished_run_of_the_same_models_answers_the_lesson(small, monkeypatch):
    recipe = small.recipe
    monkeypatch.setitem(LESSON.__dict__, "recipe", recipe.model_copy(update={"name": "Another name"}))
    assert progress.answering(small.workspace, LESSON) == small.run_id
    monkeypatch.setitem(LESSON.__dict__, "recipe", recipe.model_copy(update={"seeds": (7, 8)}))
    assert progress.answering(small.workspace, LESSON) is None
