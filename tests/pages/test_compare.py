"""Compare: what is chosen, what is shown, what can be taken away."""

from __future__ import annotations

import pytest

from kdcore.export import openvino_runtime
from kdcore.files import read_json, write_json
from kdcore.report import comparison, format
from tests.pages.conftest import asked, charts, opened, runs, said


@pytest.fixture
def quickstart(full):
    return runs(full)[-1].id


def test_the_table_has_the_reports_rows(full, quickstart):
    app = opened("compare", runs=quickstart)
    table = app.dataframe[0].value
    rows = comparison.rows(full, [quickstart])
    assert table["variant"].tolist() == [row["variant"] for row in rows]
    assert table["accuracy"].tolist() == pytest.approx([100 * row["accuracy"] for row in rows])
    assert table["smaller"].tolist() == pytest.approx([rows[0]["size_bytes"] / row["size_bytes"] for row in rows])


def test_differences_are_told_against_the_chosen_baseline(full, quickstart):
    rows = comparison.rows(full, [quickstart])
    app = opened("compare", runs=quickstart, baseline=f"{quickstart}/student distilled")
    points = app.dataframe[0].value.set_index("variant")["points"]
    assert points["student distilled"] == 0
    by_name = {row["variant"]: row["accuracy"] for row in rows}
    assert points["teacher"] == pytest.approx(100 * (by_name["teacher"] - by_name["student distilled"]))


def test_the_choice_is_in_the_url_and_an_unknown_one_is_reported(full, quickstart):
    assert "is not in this workspace" in said(opened("compare", runs="no-such-run"))
    app = opened("compare")
    assert app.multiselect(key="runs").value == [runs(full)[0].id]
    app.multiselect(key="runs").set_value([quickstart]).run()
    assert asked(app, "runs") == [quickstart]
    app.selectbox(key="baseline").set_value(f"{quickstart}/int8").run()
    assert asked(app, "baseline") == [f"{quickstart}/int8"]


def test_verdicts_are_the_reports_words(full, quickstart):
    told = said(opened("compare", runs=quickstart))
    for verdict in comparison.verdicts(full, quickstart):
        assert verdict.words.split(" (")[0] in told


def test_both_charts_of_one_session_and_the_bytes_step_by_step(full, quickstart):
    app = opened("compare", runs=quickstart)
    assert "One timing session on" in said(app)
    assert len(charts(app)) == 2
    app.get_by_key("view").set_value("waterfall").run()
    assert len(charts(app)) == 1
    rows = {row["variant"]: row["size_bytes"] for row in comparison.rows(full, [quickstart])}
    smaller = format.times(rows["student distilled"] / rows["int8"])
    assert f"The file that runs is {smaller} smaller than student distilled" in said(app)


def test_times_on_a_gpu_are_shown_where_there_are_any(full, quickstart):
    assert "cuda_eager_ms" not in opened("compare", runs=quickstart).dataframe[0].value
    teacher = comparison.rows(full, [quickstart])[0]
    path = full.sessions / f"{teacher['session']}.json"
    kept = path.read_bytes()
    models = {teacher["model_key"]: {"batches": {"1": {"fp32": {"eager": {"ms": 0.25, "p90_ms": 0.3}}}}}}
    write_json(path, read_json(path) | {"cuda": {"device": "a card", "tf32": False, "models": models}})
    try:
        app = opened("compare", runs=quickstart)
        table = app.dataframe[0].value
        assert table["cuda_eager_ms"][0] == 0.25
        assert "cuda_graph_ms" not in table
        assert "On a card: batch size 1, fp32, medians by CUDA events" in said(app)
    finally:
        path.write_bytes(kept)


def test_times_in_openvino_are_offered_and_shown_where_there_are_any(full, quickstart, monkeypatch):
    monkeypatch.setattr(openvino_runtime, "installed", lambda: True)
    app = opened("compare", runs=quickstart)
    assert "openvino" not in app.dataframe[0].value
    app.button(key="bench_openvino").click().run()
    queued = read_json(full.run(runs(full)[0].id) / "recipe.json")
    assert (queued["bench"], queued["openvino"]) == ([quickstart], True)

    path = full.sessions / f"{comparison.rows(full, [quickstart])[0]['session']}.json"
    session = read_json(path)
    models = {key: {"batches": one["batches"], "agreement": 1.0, "images": 9} for key, one in session["models"].items()}
    write_json(path, session | {"openvino": {"version": "1.0", "models": models}})
    app = opened("compare", runs=quickstart)
    table = app.dataframe[0].value
    assert table["openvino_ms"].tolist() == pytest.approx(table["latency"].tolist())
    assert "OpenVINO 1.0: the same files" in said(app)
    assert "bench_openvino" not in [button.key for button in app.button]


def test_runs_of_different_sessions_are_not_put_into_one_chart(full, quickstart):
    unseen = runs(full)[0].id
    app = opened("compare", runs=[quickstart, unseen])
    assert len(app.dataframe[0].value) == len(comparison.rows(full, [quickstart, unseen]))
    app.button(key="bench").click().run()
    newest = runs(full)[0]
    assert (newest.preset, newest.state) == ("bench", "queued")
    assert read_json(full.run(newest.id) / "recipe.json")["bench"] == [quickstart, unseen]
    assert "bench" not in [button.key for button in app.button], "it is in the queue already"


def test_a_hidden_class_has_its_chart_of_recall(full):
    unseen = runs(full)[0].id
    told = said(opened("compare", runs=unseen, view="recall"))
    assert "Never shown a 3, the student recognises" in told


def test_each_view_draws_its_chart_and_an_unknown_one_falls_back(full, quickstart):
    for view, axis in (("bubbles", "bubble area"), ("space", "ms per example"), ("measures", "Parameters")):
        app = opened("compare", runs=quickstart, view=view, x="params")
        (only,) = charts(app)
        assert axis in only.proto.json, view
    assert len(charts(opened("compare", runs=quickstart, view="settings"))) == 2, "nothing was swept"


def test_limits_are_in_the_url_and_name_the_best_that_fits(full, quickstart):
    rows = comparison.rows(full, [quickstart])
    small = min(row["size_bytes"] for row in rows) / 1000
    app = opened("compare", runs=quickstart, max_kb=f"{small:.6f}")
    assert app.number_input(key="max_kb").value == pytest.approx(small)
    assert f"1 of {len(rows)} within the limits" in said(app)
    app.number_input(key="max_kb").set_value(0.001).run()
    assert "No variant is within the limits (at most 1 B)" in said(app)
    app.button(key="no_limits").click().run()
    assert "within the limits" not in said(app)


def test_a_sweep_has_its_settings_and_says_why_there_are_no_importances(full):
    told = said(opened("compare", runs=runs(full)[0].id, view="settings"))
    assert "Best of 2: temperature" in told
    assert "Only one setting was swept" in told


def test_all_columns(full, quickstart):
    app = opened("compare", runs=quickstart)
    app.toggle(key="all_columns").set_value(True).run()
    assert app.dataframe[0].value.columns.tolist() == list(comparison.COLUMNS)


def test_every_format_has_its_button(full, quickstart):
    app = opened("compare", runs=quickstart)
    assert [button.label for button in app.get("download_button")] == [
        "CSV", "CSV for Excel", "Markdown", "LaTeX", "Excel", "HTML", "JSON", "Report",
    ]  # fmt: skip


@pytest.mark.parametrize("reliability", [False, True])
def test_files_have_as_many_columns_as_the_page(full, quickstart, reliability):
    app = opened("compare", runs=quickstart)
    app.toggle(key="trust_columns").set_value(reliability).run()
    shown = [name for name in app.dataframe[0].value.columns if name != "mark"]
    assert len(app.multiselect(key=f"download_columns_{quickstart}_{reliability}").value) == len(shown)


def test_titles_follow_the_chosen_baseline(full, quickstart):
    app = opened("compare", runs=quickstart, baseline=f"{quickstart}/student distilled")
    titles = [line for line in said(app).splitlines() if line.startswith("**")]
    assert any("student distilled" in title and "smaller than" in title for title in titles)
    assert not any("its teacher" in title or "than the teacher" in title for title in titles)


def test_what_differs_between_runs_is_told(full, quickstart):
    other = next(row.id for row in runs(full) if row.id != quickstart)
    assert "Differences between the runs" not in said(opened("compare", runs=quickstart))
    app = opened("compare", runs=[quickstart, other])
    found = app.dataframe[-1].value.set_index("field")
    assert found.loc["train.steps"].to_list() == ["60", "30"]
