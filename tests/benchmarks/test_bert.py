"""What the benchmark of BERT asks for, and which run it goes on with; nothing is trained."""

from __future__ import annotations

import pytest

from benchmarks import bert, runs
from kdcore.presets import preset
from kdcore.workspace.workspace import Workspace


def test_students_see_fewer_sentences_and_the_teacher_all():
    asked = bert.recipe(2000, 3)
    assert (asked.data.labels, asked.seeds) == (2000, (0, 1, 2))
    assert bert.recipe(0, 3) == preset("bert-made-small").recipe
    assert (asked.teacher, asked.train) == (bert.recipe(0, 3).teacher, bert.recipe(0, 3).train)


def test_files_are_told_by_the_first(tmp_path):
    files = {name: tmp_path / name for name in ("teacher", "student")}
    for path, size in zip(files.values(), (9000, 1000), strict=True):
        path.write_bytes(b"0" * size)
    found = bert.costs(files, {"teacher": 0.012, "student": 0.003})
    assert found["teacher"] == ["9,000", "1.0", "12.00", "1.0"]
    assert found["student"] == ["1,000", "9.0", "3.00", "4.0"]


@pytest.mark.parametrize("earlier", ["none", "cancelled", "done"])
def test_the_same_command_goes_on_with_its_run(monkeypatch, tmp_path, earlier):
    monkeypatch.setenv("KDCORE_HOME", str(tmp_path))
    asked = bert.recipe(64, 1)
    done = []
    for name in ("fetch", "submit", "request"):
        place = runs if name == "fetch" else runs.api
        monkeypatch.setattr(place, name, lambda *given, name=name: done.append(name) or "new")
    monkeypatch.setattr(runs, "_done", lambda workspace, run_id: run_id)
    monkeypatch.setattr(runs, "state", lambda folder: earlier)
    if earlier != "none":
        monkeypatch.setattr(Workspace, "run_ids", lambda self: ["other", "old"])
        monkeypatch.setattr(Workspace, "run", lambda self, run_id: tmp_path / run_id)
        monkeypatch.setattr(
            runs.shapes, "asked", lambda folder: asked.document() if folder.name == "old" else {"name": "Other"}
        )
    _, run_id = runs.resumed(asked)
    assert run_id == ("new" if earlier == "none" else "old")
    assert done[1:] == {"none": ["submit"], "cancelled": ["request"], "done": []}[earlier]
