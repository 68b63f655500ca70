"""Robustness on the page Trust: nothing measured yet, measuring, and what is shown then."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from kdcore.files import read_json, write_json
from kdcore.jobs import api
from kdcore.jobs.tasks import task
from kdcore.report import robustness
from pages.trust.robustness import row_of
from tests.pages.conftest import asked, opened, runs, said

IMAGES = 100


@pytest.fixture
def quickstart(full):
    return runs(full)[-1].id


@pytest.fixture
def measured(full, quickstart):
    """The quickstart, measured on some images."""
    run_id = api.robustness(full, [quickstart], images=IMAGES)
    task(full, full.run(run_id), lambda: None).carry_out()
    api.delete(full, run_id)
    return robustness.measured(full, quickstart)


def test_nothing_measured_says_what_it_will_show_and_has_the_button(full, quickstart):
    app = opened("trust", run=quickstart, part="robustness")
    words = said(app)
    assert "Not measured yet. It shows how accuracy falls" in words
    assert "here, after queued jobs" in words
    app.button(key="measure_robustness").click().run()
    newest = runs(full)[0]
    assert (newest.preset, newest.state) == ("robustness", "queued")
    assert read_json(full.run(newest.id) / "recipe.json")["robustness"] == [quickstart]
    assert "measure_robustness" not in [button.key for button in app.button], "it is in the queue already"
    assert app.button(key="open_robustness")


def test_a_failure_is_told_and_may_be_tried_again(full, quickstart):
    run_id = api.robustness(full, [quickstart])
    meta = read_json(full.run(run_id) / "meta.json")
    result = {"state": "failed", "turn": meta["turn"], "error": "the *disk* is full", "stages": []}
    write_json(full.run(run_id) / "result.json", result)
    app = opened("trust", run=quickstart, part="robustness")
    assert "the *disk* is full" in said(app)
    assert app.button(key="measure_robustness")


def test_its_run_leads_to_what_it_measured_and_shows_no_curves(full, quickstart):
    run_id = api.robustness(full, [quickstart])
    app = opened("runs", run=run_id)
    assert "trains none, so it has no curves" in said(app)
    assert not {"see", "duplicate"} & {button.key for button in app.button}
    meta = read_json(full.run(run_id) / "meta.json")
    write_json(full.run(run_id) / "result.json", {"state": "done", "turn": meta["turn"], "error": None, "stages": []})
    button = opened("runs", run=run_id).button(key="see")
    assert button.label == "Open in Trust"
    assert asked(button.click().run(), "part") == ["robustness"]


def test_what_was_measured_is_shown_in_numbers_charts_and_files(quickstart, measured):
    app = opened("trust", run=quickstart, part="robustness")
    scores, changes = (one.value for one in app.dataframe if {"lost", "beyond"} & set(one.value))
    assert scores["variant"].tolist() == [one.variant for one in measured]
    assert scores["clean"].tolist() == pytest.approx([100 * one.clean for one in measured])
    assert scores["noise"].tolist() == pytest.approx([100 * np.mean(one.scores["noise"]) for one in measured])
    pairs = robustness.compared(measured)
    assert changes[["variant", "against"]].to_numpy().tolist() == [[one.variant, other.variant] for one, other in pairs]
    assert {"robustness_severity", "robustness_class"} <= {button.key for button in app.get("download_button")}
    words = said(app)
    assert "Corruption takes int8 from" in words
    assert f"On {IMAGES} test examples of 600, the same for every variant" in words
    assert "Not measured yet" not in words


def test_corruption_and_pair_are_in_the_url(quickstart, measured):
    app = opened("trust", run=quickstart, part="robustness", corruption="blur", changed="int8/teacher")
    words = said(app)
    assert "Blur takes int8 from" in words
    assert "From teacher to int8, " in words
    app.selectbox(key="changed").set_value("int8/pruned 50 %").run()
    assert asked(app, "changed") == ["int8/pruned 50 %"]
    assert "From pruned 50 % to int8, " in said(app)


def test_a_variant_alone_has_nothing_to_be_compared_with(quickstart, measured):
    app = opened("trust", run=quickstart, part="robustness", variants="teacher")
    assert "takes teacher from" in said(app)
    assert "its parent, or the teacher" in said(app)


def test_variants_that_were_not_measured_are_named(full, quickstart, measured):
    (full.model(measured[-1].key) / robustness.FILE).unlink()
    app = opened("trust", run=quickstart, part="robustness")
    assert "Not measured yet: int8." in said(app)
    assert "takes pruned 50 % from" in said(app)
    assert app.button(key="measure_robustness")


def test_the_comparison_learns_of_it_at_once(full, quickstart):
    def column():
        app = opened("compare", runs=quickstart)
        app.toggle(key="all_columns").set_value(True).run()
        return next(one.value for one in app.dataframe if "corrupted_accuracy" in one.value)["corrupted_accuracy"]

    assert column().isna().all()
    task(full, full.run(api.robustness(full, [quickstart], images=20)), lambda: None).carry_out()
    assert pd.to_numeric(column()).between(0, 1).all()


def test_the_corruptions_can_be_looked_at(quickstart, full):
    app = opened("trust", run=quickstart, part="robustness")
    assert "Pixelation" not in said(app), "drawn when it is opened"
    app.session_state["samples"] = True
    app.run()
    assert not app.exception
    assert "Pixelation: 7 of 8 pixels a side at severity 1, 3 of 8 pixels a side at 5" in said(app).replace("**", "")
    app.number_input(key="sample_image").set_value(3).run()
    assert not app.exception
    app.number_input(key="sample_image").set_value(99_999).run()
    assert "enter a number from 0 to" in said(app)
    assert "Pixelation:" not in said(app)


@pytest.mark.parametrize("shape", [(8, 8, 1), (28, 28, 1), (32, 32, 3), (200, 180, 3)])
def test_samples_stand_in_a_row_with_clear_gaps(shape):
    images = [np.full(shape, value, np.uint8) for value in (0, 100, 200)]
    row = row_of(images)
    assert row.shape[2] == 4
    opaque = row[0, :, 3] == 255
    assert row[0, 0, 0] == 0
    assert row[0, -1, 0] == 200
    assert (np.diff(opaque.astype(int)) != 0).sum() == 4, "two gaps"
