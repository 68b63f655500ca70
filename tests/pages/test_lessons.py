"""Lessons: the list, the prediction, the measured answer, the reset."""

from __future__ import annotations

import pytest

from kdcore.lessons import find, lessons, progress
from kdcore.lessons.evidence import Evidence
from kdcore.report import format
from kdcore.report.glossary import explained
from tests.pages.conftest import asked, charts, opened, runs, said

NAME = "why-soft-targets"
LESSON = find(NAME)


@pytest.fixture
def measured(full):
    """The workspace, where lesson 1 has a prediction and the small quickstart answers it."""
    run = next(row for row in runs(full) if row.name == "Quickstart")
    progress.commit(full, LESSON, 5)
    progress.follow(full, LESSON, run.id)
    return full, run.id


def test_an_empty_page_lists_all_lessons_and_begins_with_the_first(empty):
    app = opened("lessons")
    words = said(app)
    for lesson in lessons():
        assert lesson.title in words
    app.button(key=f"open_{NAME}").click().run()
    assert asked(app, "lesson") == [NAME]
    assert LESSON.question.split("\n")[0].replace("*", "")[:40] in said(app).replace("*", "")


def test_a_prediction_is_committed_once_and_nothing_measured_is_shown_before(empty):
    app = opened("lessons", lesson=NAME, step="result")
    assert app.button(key="next").disabled
    assert not charts(app)
    app.slider(key=f"guess_{NAME}").set_value(6.5).run()
    app.button(key="commit").click().run()
    assert progress.read(empty, LESSON).prediction == 6.5
    assert asked(app, "step") == ["measure"]
    again = opened("lessons", lesson=NAME, step="predict")
    assert "+6.5 points" in said(again)
    assert not [button for button in again.button if button.key == "commit"]


def test_measuring_queues_the_lessons_recipe_and_can_be_cancelled(empty):
    progress.commit(empty, LESSON, 5)
    app = opened("lessons", lesson=NAME)
    app.button(key="measure").click().run()
    (row,) = runs(empty)
    assert (row.state, row.preset) == ("queued", LESSON.preset)
    assert progress.read(empty, LESSON).run == row.id
    app.button(key="cancel").click().run()
    assert runs(empty)[0].state == "cancelled"


def test_the_answer_stands_beside_the_prediction_and_is_explained(measured):
    workspace, run = measured
    found = Evidence(workspace, run)
    answer = LESSON.measure(found)
    app = opened("lessons", lesson=NAME, step="result")
    words = said(app)
    assert "predicted +5.0 points" in words
    assert f"measured {format.points(answer.value)}" in words
    assert explained(answer.verdict) in words
    app.button(key="next").click().run()
    assert asked(app, "step") == ["why"]
    assert explained(LESSON.explain(found)).split("\n\n")[0] in said(app)
    assert app.get("latex") or "frac" in str(app.main)
    app.button(key="next").click().run()
    assert progress.read(workspace, LESSON).reached == "next"
    app.button(key="reset").click().run()
    assert progress.read(workspace, LESSON).prediction is None
    assert asked(app, "step") == ["predict"]


def test_what_to_try_next_opens_the_form_filled_in(measured):
    app = opened("lessons", lesson=NAME, step="next")
    app.button(key="try_next").click().run()
    assert app.session_state["draft"]["data"]["labels"] == LESSON.next_recipe.data.labels


def test_a_deleted_run_can_be_measured_again(measured):
    workspace, run = measured
    workspace.discard(run)
    app = opened("lessons", lesson=NAME, step="result")
    assert "was deleted" in said(app)
    assert not app.button(key="measure").disabled


def test_damaged_progress_counts_as_not_started_and_the_page_says_so(empty):
    path = empty.root / "lessons" / f"{NAME}.json"
    path.parent.mkdir()
    path.write_text("{")
    assert "counts as not started" in said(opened("lessons"))
    app = opened("lessons", lesson=NAME)
    assert "cannot be read" in said(app)
    assert not app.button(key="commit").disabled


def test_an_unknown_lesson_shows_the_list(empty):
    app = opened("lessons", lesson="nonsense", step="nowhere")
    assert "There is no lesson nonsense" in said(app)


def test_the_bugs_are_run_before_their_symptoms_are_asked_about(empty):
    app = opened("lessons", lesson="find-the-bug")
    assert not [button for button in app.button if button.key == "commit"]
    app.button(key="measure").click().run()
    assert runs(empty)[0].name == find("find-the-bug").title
    assert "In the queue" in said(opened("lessons"))


def test_a_curve_is_given_point_by_point_and_drawn(empty):
    lesson = find("never-seen")
    app = opened("lessons", lesson=lesson.name)
    for place, x in enumerate(lesson.prediction.x):
        app.slider(key=f"guess_never-seen_{x:g}").set_value(10.0 * place).run()
    app.button(key="commit").click().run()
    assert progress.read(empty, lesson).prediction == (0.0, 10.0, 20.0, 30.0, 40.0, 50.0)


@pytest.mark.parametrize("lesson", [one for one in lessons() if not one.symptoms], ids=lambda one: one.name)
def test_every_lesson_asks_for_its_prediction(empty, lesson):
    app = opened("lessons", lesson=lesson.name)
    assert app.slider or app.radio
    assert app.button(key="commit").label == "Commit prediction"
