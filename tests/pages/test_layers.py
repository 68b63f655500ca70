"""Layers: two variants beside each other."""

from __future__ import annotations

from kdcore.files import read_json
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


def test_a_layer_is_chosen(full):
    run_id = runs(full)[-1].id
    app = opened("layers", run=run_id, layer="head")
    assert app.selectbox(key="layer").value == "head"
    assert "head: " in said(app)
