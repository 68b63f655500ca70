"""Runs: choosing one, and what one may do with it."""

from __future__ import annotations

import pytest

from kdcore.files import read_json, write_json
from kdcore.jobs import api
from kdcore.takeaway.run import run_zip
from kdcore.workspace.index import RunRow, StageRow
from kdcore.workspace.workspace import Workspace
from pages.runs.detail import Group, line, state_of
from pages.runs.table import matches
from pages.shared.text import STATES
from tests.pages.conftest import opened, runs, said
from tests.pages.test_new import recipe_of
from tests.small import small


def test_the_newest_run_is_shown_and_a_link_shows_another(full):
    newest, oldest = runs(full)
    assert opened("runs").header[0].value == newest.name
    app = opened("runs", run=oldest.id)
    assert app.header[0].value == "Quickstart"
    assert app.dataframe[0].value["name"].tolist() == ["Unseen", "Quickstart"]


def test_a_link_to_a_run_that_is_not_here_shows_no_other(full):
    app = opened("runs", run="000000-000000-abcdef")
    assert "is not in this workspace" in app.warning[0].value
    assert not app.dataframe
    assert not app.header
    app.button(key="newest").click().run()
    assert app.header[0].value == runs(full)[0].name


def test_the_checklist_has_a_line_a_variant_and_says_what_was_reused(full):
    api.submit(full, small("seeds=[0]"), None)
    unseen = runs(full)[1]
    table = opened("runs", run=unseen.id).table[0].value
    assert len(table) == 4
    reused = table[table.iloc[:, 0].str.contains("reused")]
    assert "teacher" in reused.index[0]


def test_a_run_is_imported_where_there_was_none(made, empty):
    there = Workspace(made)
    run_id = there.run_ids()[0]
    content = run_zip(there, run_id)
    app = opened("runs")
    app.file_uploader(key="import_0").upload("run.zip", b"no zip", "application/zip").run()
    assert "was not imported" in app.error[0].value
    app.file_uploader(key="import_0").upload("run.zip", content, "application/zip").run()
    assert app.header[0].value == "Quickstart"
    assert empty.run_ids() == [run_id]


def test_filters(full):
    app = opened("runs")
    app.text_input(key="runs_search").set_value("quick").run()
    assert app.dataframe[0].value["name"].tolist() == ["Quickstart"]
    app.text_input(key="runs_search").set_value("no such run").run()
    assert "No run matches the filter" in said(app)


def test_a_queued_run_is_cancelled_and_resumed(full):
    run_id = api.submit(full, small(), None)
    app = opened("runs", run=run_id)
    app.button(key="cancel").click().run()
    assert runs(full)[0].state == "cancelled"
    app.button(key="resume").click().run()
    assert runs(full)[0].state == "queued"


def test_a_queued_run_says_its_place_and_when_it_starts(full):
    first, second = (api.submit(full, small(f"name={name}", "train.steps=31"), None) for name in "ab")
    assert "Next in the queue" in said(opened("runs", run=first))
    assert "1 run before this one in the queue; starts in about" in said(opened("runs", run=second))


def test_a_run_without_memory_offers_one_that_fits(full):
    run_id = api.submit(full, small(), None)
    result = {"state": "failed", "turn": 1, "error": "out of memory", "stages": [], "session": None, "finished": 1.0}
    write_json(full.run(run_id) / "result.json", result | {"remedy": {"path": "train.batch_size", "value": 16}})
    app = opened("runs", run=run_id)
    assert "resume" not in [one.key for one in app.button]  # it could only fail again
    assert "reuses them" in said(app)
    button = app.button(key="remedy")
    assert button.label == "New run with batch size 16"
    button.click().run()
    assert recipe_of(app)["train"]["batch_size"] == 16
    assert len(runs(full)) == 3  # nothing was started


def test_renaming(full):
    run_id = runs(full)[0].id
    app = opened("runs", run=run_id)
    app.text_input(key=f"name_{run_id}").set_value("*Other* $x$ :red[name] <b>").run()
    app.button(key="save_name").click().run()
    assert runs(full)[0].name == "*Other* $x$ :red[name] <b>"
    assert app.header[0].value == r"\*Other\* \$x\$ \:red\[name\] \<b\>"


def test_an_empty_name_is_refused(full):
    run_id = runs(full)[0].id
    app = opened("runs", run=run_id)
    app.text_input(key=f"name_{run_id}").set_value("  ").run()
    app.button(key="save_name").click().run()
    assert runs(full)[0].name == "Unseen"
    assert "Not renamed" in app.toast[0].value


def test_deleting(full):
    run_id = runs(full)[0].id
    app = opened("runs", run=run_id)
    app.button(key=f"delete_{run_id}").click().run()
    assert [row.name for row in runs(full)] == ["Quickstart"]
    assert f"delete_{run_id}" not in [one.key for one in app.button]  # a second click finds no button to press
    assert app.header[0].value == "Quickstart"


def test_a_deletion_can_be_undone(full):
    run_id = runs(full)[0].id
    app = opened("runs", run=run_id)
    app.button(key=f"delete_{run_id}").click().run()
    app.button(key=f"restore_{run_id}").click().run()
    assert [row.name for row in runs(full)] == ["Unseen", "Quickstart"]
    assert f"restore_{run_id}" not in [one.key for one in app.button]


@pytest.mark.parametrize(("page", "name"), [("soft_targets", "run"), ("compare", "runs")])
def test_a_link_to_a_deleted_run_offers_to_restore_it(full, page, name):
    run_id = runs(full)[0].id
    api.delete(full, run_id)
    app = opened(page, **{name: run_id})
    assert f"{run_id} is in the trash" in app.warning[0].value
    assert not app.selectbox
    app.button(key=f"restore_{run_id}").click().run()
    assert not any("trash" in warning.value for warning in app.warning)
    assert app.selectbox


def test_notes_and_tags(full):
    run_id = runs(full)[0].id
    app = opened("runs", run=run_id)
    app.session_state["run_tabs"] = "Notes and tags"
    app.run()
    app.text_area(key=f"notes_{run_id}").set_value("Look here").run()
    app.multiselect(key=f"tags_{run_id}").set_value(["class of 2027"]).run()
    meta = read_json(full.run(run_id) / "meta.json")
    assert (meta["notes"], meta["tags"]) == ("Look here", ["class of 2027"])


def test_the_curves_follow_the_choice(full):
    app = opened("runs")
    app.get_by_key("curve_pictures").set_value("Loss").run()
    assert "Training loss: teacher" in said(app)


def row(**more):
    blank = dict.fromkeys(RunRow._fields)
    return RunRow(**(blank | {"id": "r", "name": "Quickstart", "state": "done", "tags": ("teaching",)} | more))


@pytest.mark.parametrize(
    ("sought", "states", "fits"),
    [("", [], True), ("QUICK", [], True), ("quick teach", [], True), ("slow", [], False), ("", ["failed"], False)],
)
def test_matching(sought, states, fits):
    assert matches(row(), sought, states) is fits


def test_a_run_that_was_stopped_with_its_results_kept_is_no_cancelled_one():
    stopped = row(state="cancelled", kept=True)
    assert matches(stopped, "", ["stopped"])
    assert not matches(stopped, "", ["cancelled"])
    assert STATES[stopped.condition][0] == "Stopped, results kept"


def stage(state, seconds=1.0, **more):
    told = {"key": "k", "title": "t", "variant": "student alone", "role": "alone", "seed": 0, "phase": ""}
    return StageRow(**(told | more), state=state, seconds=seconds, progress=0.5)


@pytest.mark.parametrize(
    ("stages", "state", "words"),
    [
        ([stage("done"), stage("done")], "done", "2.0 s, 2 seeds"),
        ([stage("reused"), stage("reused")], "reused", "reused, 2 seeds"),
        ([stage("done"), stage("reused")], "done", "1.0 s, 2 seeds, 1 reused"),
        ([stage("done"), stage("running", phase="training")], "running", "1 of 2 seeds: training, 50.0 %"),
        ([stage("done"), stage("pending")], "running", "1 of 2 seeds"),
        ([stage("pending")], "pending", "–"),
        ([stage("done"), stage("failed")], "failed", "1 of 2 seeds"),
    ],
)
def test_a_line_of_the_checklist(stages, state, words):
    group = Group("student alone", "alone", stages)
    assert (state_of(group), line(group)) == (state, words)


def test_the_models_of_a_run_are_there_to_take_away(full):
    quickstart = runs(full)[-1]
    app = opened("runs", run=quickstart.id)
    app.session_state["run_tabs"] = "Files"
    app.run()
    picker = next(one for one in app.selectbox if one.label == "Model")
    assert picker.value == "int8"
    assert {"teacher", "student distilled"} < set(picker.options)
    picker.set_value("teacher").run()
    app.session_state["run_tabs"] = "Files"
    app.run()
    key = read_json(full.run(quickstart.id) / "plan.json")["variants"][0]["keys"][0]
    assert str(full.model(key)) in [block.value for block in app.code]
    offered = [one.label for one in app.get("download_button")]
    assert offered[0].startswith("ONNX (")
    assert offered[2:] == ["Package (zip)", "Report (HTML)", "Whole run (zip)"]
