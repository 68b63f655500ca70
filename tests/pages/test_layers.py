"""Layers: two variants beside each other."""

from __future__ import annotations

import json

import pytest

from kdcore.compress.tools.sensitivity import policy
from kdcore.execute.sensitivity import sensitivity
from kdcore.files import read_json, write_json
from kdcore.jobs import api
from kdcore.jobs.tasks import task
from kdcore.report.layers import COLUMNS
from tests.pages.conftest import asked, opened, runs, said


def report(workspace, run_id, name):
    plan = read_json(workspace.run(run_id) / "plan.json")
    key = next(variant["keys"][0] for variant in plan["variants"] if variant["name"] == name)
    return read_json(workspace.model(key) / "report.json")


def test_it_begins_with_the_last_variant_beside_its_parent(full):
    app = opened("layers", run=runs(full)[-1].id)
    assert app.selectbox(key="variant").value == "int8"
    assert app.selectbox(key="variant_b").value.startswith("pruned")


def test_the_table_is_the_reports(full):
    run_id = runs(full)[-1].id
    table = opened("layers", run=run_id, variant="int8", variant_b="teacher").dataframe[0].value
    for name in ("int8", "teacher"):
        found = report(full, run_id, name)["layers"]
        rows = table[table["variant"] == name]
        assert rows["params"].tolist() == [layer["params"] for layer in found]
        assert rows["bits"].tolist() == [layer["bits"] for layer in found]


def test_one_variant_beside_itself_is_shown_once(full):
    app = opened("layers", run=runs(full)[-1].id, variant="teacher", variant_b="teacher")
    assert app.dataframe[0].value["variant"].unique().tolist() == ["teacher"]


def test_zeros_and_amounts_are_chosen_in_the_url(full):
    app = opened("layers", run=runs(full)[-1].id, by="filter", what="macs")
    assert "of the MACs of" in said(app)
    app.get_by_key("by").set_value("channel").run()
    assert asked(app, "by") == ["channel"]


def test_a_blank_chart_is_one_line_and_the_graph_is_drawn_when_opened(full):
    run_id = runs(full)[-1].id
    app = opened("layers", run=run_id, variant="student alone", variant_b="teacher")
    assert "No weights are zero.\n" in said(app)
    assert "ranks of teacher" not in said(app)
    app.get_by_key("part").set_value("graph").run()
    assert not app.exception
    assert "Student alone: 4 layers with the shapes, bits, zeros and ranks of teacher" in said(app)
    assert "Teacher: 4 layers with the shapes, bits, zeros and ranks of student alone" in said(app)


def test_a_layer_is_chosen(full):
    run_id = runs(full)[-1].id
    app = opened("layers", run=run_id, layer="head")
    assert app.selectbox(key="layer").value == "head"
    assert "head: " in said(app)


def test_the_table_has_the_columns_of_the_files_and_a_button_for_each(full):
    app = opened("layers", run=runs(full)[-1].id, variant="int8")
    assert app.dataframe[0].value.columns.tolist() == list(COLUMNS)
    labels = [button.label for button in app.get("download_button")]
    assert labels == ["CSV", "JSON", "Markdown"]


def test_noise_is_shown_for_what_was_made_from_another_file(full):
    run_id = runs(full)[-1].id
    noise = report(full, run_id, "int8")["layers"]
    worst = min((layer for layer in noise if layer["sqnr_db"] is not None), key=lambda layer: layer["sqnr_db"])
    words = said(opened("layers", run=run_id, part="noise", variant="int8", variant_b="teacher"))
    assert f"Lowest output SQNR: {worst['name']} of int8" in words
    assert "Logits of int8: " in words
    told = said(opened("layers", run=run_id, part="noise", variant="teacher", variant_b="student alone"))
    assert "Lowest output SQNR" not in told
    assert "Neither variant was made from another file" in told


def test_rank_is_one_of_the_amounts(full):
    words = said(opened("layers", run=runs(full)[-1].id, variant="student distilled", what="rank"))
    assert "of student distilled has rank" in words or "Every layer of student distilled has full rank" in words


def test_sensitivity_is_queued_at_a_click(full):
    run_id = runs(full)[-1].id
    app = opened("layers", run=run_id, variant="student distilled", step="filters")
    app.button(key="measure_sensitivity").click().run()
    newest = runs(full)[0]
    assert (newest.preset, newest.state) == ("sensitivity", "queued")
    wanted = {"run": run_id, "variant": "student distilled", "kind": "filters"}
    assert read_json(full.run(newest.id) / "recipe.json")["sensitivity"] == wanted
    assert "measure_sensitivity" not in [button.key for button in app.button]  # it is in the queue


def test_layer_times_are_queued_at_a_click_and_shown_once_measured(full):
    run_id = runs(full)[-1].id
    app = opened("layers", run=run_id, part="times", variant="int8", variant_b="student alone")
    assert "Not measured yet: int8, student alone." in said(app)
    app.button(key="measure_times").click().run()
    assert "measure_times" not in [button.key for button in app.button]  # it is in the queue
    newest = runs(full)[0]
    assert (newest.preset, newest.state) == ("layer_times", "queued")
    task(full, full.run(newest.id), lambda: None).carry_out()
    turn = read_json(full.run(newest.id) / "meta.json")["turn"]
    write_json(full.run(newest.id) / "result.json", {"state": "done", "turn": turn, "error": None, "stages": []})
    app = opened("runs", run=newest.id)
    app.button(key="see").click().run()
    assert (app.selectbox(key="variant").value, app.selectbox(key="variant_b").value) == ("int8", "student alone")
    assert " of the time of int8" in said(app)
    assert "not a speed comparison" in said(app)
    assert app.button(key="measure_times").label == "Measure again"


def test_a_damaged_profile_is_named_and_costs_nothing_else(full):
    run_id = runs(full)[-1].id
    key = next(row.keys[0] for row in full.plan(run_id).variants if row.name == "int8")
    (full.model(key) / "layer-times.json").write_text('{"schema": 1, "kernels": [{"ms": -1}]}')
    app = opened("layers", run=run_id, part="times", variant="int8")
    assert "layer-times.json is invalid" in app.warning[0].value.replace("\\", "")
    assert app.button(key="measure_times").label == "Measure layer times"
    app.get_by_key("part").set_value("overview").run()
    assert len(app.dataframe[0].value)


def test_the_run_that_measured_leads_to_what_it_measured(full):
    made = api.sensitivity(full, runs(full)[-1].id, "student distilled", "filters")
    turn = read_json(full.run(made) / "meta.json")["turn"]
    write_json(full.run(made) / "result.json", {"state": "done", "turn": turn, "error": None, "stages": []})
    app = opened("runs", run=made)
    app.button(key="see").click().run()
    assert app.selectbox(key="variant").value == "student distilled"
    assert asked(app, "step") == ["filters"]


def test_an_int8_file_is_told_to_have_no_network(full):
    app = opened("layers", run=runs(full)[-1].id, part="sensitivity", variant="int8")
    assert "has no network that can be compressed" in said(app)
    assert "measure_sensitivity" not in [button.key for button in app.button]
    app.button(key="take_parent").click().run()
    assert app.selectbox(key="variant").value == "pruned 50 %"
    assert app.button(key="measure_sensitivity")


@pytest.fixture
def measured(full):
    """The run, and the sensitivity of its student that is kept beside the model."""
    run_id = runs(full)[-1].id
    return run_id, sensitivity(full, run_id, "student distilled", "prune")


def test_what_was_measured_is_shown_with_the_policy_of_the_budget(measured):
    run_id, found = measured
    app = opened("layers", run=run_id, variant="student distilled", step="prune")
    assert "measure_sensitivity" not in [button.key for button in app.button]
    assert f"Validation accuracy ({found['images']} examples)" in said(app)
    app.slider(key="budget").set_value(60).run()
    mixed = policy(found, 0.6)
    shown = json.loads(app.get("code")[-1].value)
    assert shown == {"step": "prune_unstructured", "policy": mixed["policy"]}


def test_a_budget_out_of_reach_is_told_and_other_strengths_can_be_measured(full):
    run_id = runs(full)[-1].id
    sensitivity(full, run_id, "student distilled", "filters", [0.5], images=50)
    app = opened("layers", run=run_id, variant="student distilled", step="filters")
    assert "Raise the budget" in said(app)  # 40 %, and the layers were halved at most
    assert app.button(key="measure_sensitivity").label == "Measure sensitivity"


def test_the_policy_opens_a_new_experiment(full, measured):
    run_id, found = measured
    app = opened("layers", run=run_id, variant="student distilled", step="prune")
    app.button(key="with_policy").click().run()
    recipe = app.session_state["draft"]
    wanted = policy(found, 0.4)["policy"]
    assert [step["step"] for step in recipe["compress"]] == ["prune_unstructured"]
    assert recipe["compress"][0]["policy"] == wanted
    assert recipe["student"] == read_json(full.run(run_id) / "recipe.json")["student"]
