"""The answers of a class to one lesson."""

from __future__ import annotations

import pytest

from kdcore.lessons import gathered, lessons, progress
from kdcore.lessons.predictions import Number
from kdcore.report.documents import write
from kdcore.workspace import access, people

LESSON = next(one for one in lessons() if isinstance(one.prediction, Number))


@pytest.fixture
def acts(monkeypatch):
    monkeypatch.setattr(access, "_identify", access._identify)
    return lambda person: access.identify(lambda: person)


def test_everybody_has_a_prediction_of_their_own(workspace, acts):
    code = people.codes(workspace).code
    for name, value in (("Ana", LESSON.prediction.low), ('=HYPERLINK("x")', LESSON.prediction.high)):
        acts(people.admit(workspace, code, name).person)
        progress.commit(workspace, LESSON, value)
    with pytest.raises(progress.AlreadyCommitted):
        progress.commit(workspace, LESSON, 0)
    people.admit(workspace, code, "Idle")
    acts(access.OPERATOR)
    assert progress.read(workspace, LESSON).prediction is None
    found = gathered.gather(workspace, LESSON)
    assert [one.person for one in found] == ["Ana", '=HYPERLINK("x")']
    assert found[0].predicted != found[1].predicted
    assert {one.measured for one in found} == {None}
    header, _, formula = write(gathered.table(found), "csv").decode().splitlines()
    assert header.startswith("person,predicted")
    assert formula.startswith("\"'=")


def test_who_looks_commits_nothing(workspace, acts):
    acts(access.VISITOR)
    for change in (lambda: progress.commit(workspace, LESSON, 0), lambda: progress.reset(workspace, LESSON)):
        with pytest.raises(access.Refused):
            change()
    assert progress.read(workspace, LESSON).prediction is None
