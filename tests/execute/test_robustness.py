"""Robustness as a part of a run and as a run of its own kind, with real models of seconds."""

from __future__ import annotations

import shutil

import pytest

from kdcore.execute.run import Stopped
from kdcore.files import read_json
from kdcore.inputs.corruptions import CORRUPTIONS
from kdcore.jobs import api
from kdcore.jobs.tasks import task
from kdcore.measure.robustness import FILE
from kdcore.plan import estimate as estimating
from kdcore.plan.estimate import corrupted_seconds, estimate
from kdcore.plan.plan import plan
from kdcore.problems import RecipeError
from kdcore.report import comparison
from kdcore.report.robustness import measured
from kdcore.workspace.events import read
from kdcore.workspace.gc import collect
from kdcore.workspace.index import Index
from tests.execute.conftest import QUICK
from tests.small import small

SCENES = '{"dataset": "digit_scenes", "scenes": 200, "test_scenes": 100, "size": 16}'
MEASURED = ("measure.robustness=true", 'compress=[{"step": "int8"}]')


@pytest.fixture(scope="module")
def with_it(laboratory):
    """A run that was asked to measure it: teacher, student alone, student distilled, int8."""
    return laboratory.run(*MEASURED)


@pytest.fixture(scope="module")
def without(laboratory):
    """A run of the same teacher that was not."""
    return laboratory.run("train.steps=11")


def documents(laboratory, run_id):
    keys = [row.keys[0] for row in laboratory.plan(run_id).variants]
    return {key: read_json(laboratory.workspace.model(key) / FILE, None) for key in keys}


def carry_out(laboratory, run_id, check=lambda: None):
    task(laboratory.workspace, laboratory.workspace.run(run_id), check).carry_out()


def test_a_run_that_was_asked_to_leaves_a_document_beside_every_model(laboratory, with_it):
    found = documents(laboratory, with_it)
    assert len(found) == 4
    assert all(found.values())
    rows = comparison.rows(laboratory.workspace, [with_it])
    for row in rows:
        document = found[row["model_key"]]
        quality = read_json(laboratory.workspace.model(row["model_key"]) / "report.json")["quality"]
        assert document["n"] == quality["n"]
        assert document["clean"] == pytest.approx(quality["accuracy"])
        assert [one["clean"] for one in document["classes"]] == pytest.approx(
            [one["recall"] for one in quality["per_class"]]
        )
        assert 0 < document["corrupted"] < 1
        assert list(CORRUPTIONS) == [one["corruption"] for one in document["corruptions"]]


def test_its_progress_is_told_before_the_timing_and_never_goes_back(laboratory):
    run_id = laboratory.run(*MEASURED, "measure.timing_seconds=0.3", "train.steps=12")
    events = read(laboratory.workspace.run(run_id) / "events.jsonl").events
    told = [event["progress"] for event in events if event["type"] == "session"]
    assert told == sorted(told)
    assert told[-1] == 1
    seconds = next(event["session"] for event in events if event["type"] == "weights")
    before = (seconds - 0.3) / seconds
    assert sum(0 < share < before for share in told) > 5
    assert before in told, "the timing begins where the other has ended"


def test_asking_for_it_changes_no_stage():
    asked, plain = (plan(small(*QUICK, f"measure.robustness={answer}")) for answer in ("true", "false"))
    assert [stage.key for stage in asked.stages] == [stage.key for stage in plain.stages]


def test_what_is_known_is_not_measured_again(laboratory, with_it, without):
    teacher = laboratory.model(with_it) / FILE
    written = teacher.stat().st_mtime_ns
    assert None in documents(laboratory, without).values()
    run_id = api.robustness(laboratory.workspace, [with_it, without, with_it])
    assert read_json(laboratory.workspace.run(run_id) / "recipe.json")["robustness"] == [with_it, without]
    carry_out(laboratory, run_id)
    assert None not in documents(laboratory, without).values()
    assert teacher.stat().st_mtime_ns == written
    index = Index(laboratory.workspace)
    index.sync()
    assert (index.run(run_id).preset, index.run(run_id).name) == ("robustness", "Robustness of 2 runs")


def test_another_number_of_images_is_another_protocol(laboratory):
    run_id = laboratory.run("train.steps=13")
    for images in (40, 50):
        carry_out(laboratory, api.robustness(laboratory.workspace, [run_id], images=images))
        assert {document["n"] for document in documents(laboratory, run_id).values()} == {images}


def test_when_it_is_cancelled_nothing_half_is_left(laboratory):
    run_id = laboratory.run("train.steps=14")
    asked = []

    def check():
        asked.append(None)
        if len(asked) == 10:
            raise Stopped(keep=False)

    with pytest.raises(Stopped):
        carry_out(laboratory, api.robustness(laboratory.workspace, [run_id]), check)
    student = laboratory.model(run_id, "student distilled")
    assert not (student / FILE).exists()
    assert not [path for path in student.iterdir() if path.name.startswith(".")]


def test_images_with_several_labels_are_judged_by_mean_average_precision(laboratory):
    run_id = laboratory.run(f"data.source={SCENES}", 'distill={"method": "sigmoid"}')
    carry_out(laboratory, api.robustness(laboratory.workspace, [run_id], images=80))
    found = measured(laboratory.workspace, run_id)
    rows = {row["variant"]: row for row in comparison.rows(laboratory.workspace, [run_id])}
    assert {one.measure for one in found} == {"mAP"}
    assert found[0].clean == pytest.approx(rows["teacher"]["map"], abs=0.2), "of some of the images"


def test_what_cannot_be_measured_is_told(laboratory, without):
    here = laboratory.workspace
    for runs in ([], [api.bench(here, [without])]):
        with pytest.raises(RecipeError, match="choose runs with models"):
            api.robustness(here, runs)
    with pytest.raises(RecipeError, match="no finished model yet"):
        api.robustness(here, [laboratory.submit("train.steps=99", "teacher.train.steps=99")])
    with pytest.raises(RecipeError, match="images: at least one"):
        api.robustness(here, [without], images=0)
    with pytest.raises(RecipeError, match="is a measurement of robustness; it has no recipe"):
        api.recipe(here, api.robustness(here, [without]))
    images = here.dataset(laboratory.plan(without).dataset["fingerprint"])
    kept = shutil.copytree(images, here.cache / "kept")
    waiting = api.robustness(here, [without], images=7)
    shutil.rmtree(images)
    try:
        with pytest.raises(RecipeError, match="test examples are no longer in the workspace"):
            api.robustness(here, [without])
        with pytest.raises(LookupError, match="resume the run that prepared them"):
            carry_out(laboratory, waiting)
    finally:
        shutil.move(kept, images)


def test_the_clean_up_takes_the_document_with_its_model(laboratory):
    run_id = laboratory.run("train.steps=15")
    carry_out(laboratory, api.robustness(laboratory.workspace, [run_id], images=30))
    student = laboratory.model(run_id, "student distilled")
    assert (student / FILE).is_file()
    api.delete(laboratory.workspace, run_id)
    collect(laboratory.workspace)
    assert not student.exists()


def test_the_estimate_knows_it_and_what_is_there_already(laboratory, with_it, monkeypatch):
    monkeypatch.setattr(Index, "pace", lambda self: [("", 1.0)])
    sizes = []
    monkeypatch.setattr(
        estimating, "corrupted_seconds", lambda *asked: sizes.append(asked) or corrupted_seconds(*asked)
    )
    made = plan(small(*QUICK, *MEASURED), laboratory.workspace)
    plain, asked = (estimate(made, laboratory.workspace, 0.0, robustness=answer).seconds for answer in (False, True))
    assert plain == asked, "every variant is measured"
    other = plan(small(*QUICK, *MEASURED, "teacher.train.steps=21"), laboratory.workspace)
    plain, asked = (estimate(other, laboratory.workspace, 0.0, robustness=answer).seconds for answer in (False, True))
    assert len(sizes[-1][0]) == 3, "the student alone does not depend on the teacher"
    assert asked - plain == pytest.approx(corrupted_seconds(*sizes[-1]))
    assert (
        corrupted_seconds([10**6], 600, 64)
        < corrupted_seconds([10**7], 600, 64)
        < corrupted_seconds([10**7, 10**7], 600, 64)
    )
    assert corrupted_seconds([10**6], 2000, 64) == corrupted_seconds([10**6], 50_000, 64)
