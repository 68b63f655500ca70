"""Trust: what is shown of a run, of old models, of a teacher that is a file, and of images with several labels."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from kdcore.files import read_json, write_json
from kdcore.measure.calibration import calibration
from kdcore.measure.multilabel import map_interval, multilabel_quality
from kdcore.report import comparison
from kdcore.report.membership import beside, memberships, verdict
from kdcore.report.reading import RunFiles
from kdcore.workspace.integrity import inventory
from tests.pages.conftest import asked, opened, runs, said


@pytest.fixture
def quickstart(full):
    return runs(full)[-1].id


def models(workspace, run_id):
    """The folder of each variant's first seed."""
    plan = read_json(workspace.run(run_id) / "plan.json")
    return {variant["name"]: workspace.model(variant["keys"][0]) for variant in plan["variants"]}


def changed(folder, **parts):
    report = read_json(folder / "report.json")
    write_json(folder / "report.json", report | parts)


def table(app, column):
    return next(one.value for one in app.dataframe if column in one.value).set_index("variant")


def part(app, name):
    return app.segmented_control(key="part").set_value(name).run()


def test_calibration_is_the_reports(full, quickstart):
    shown = table(opened("trust", run=quickstart), "ece")
    for name, folder in models(full, quickstart).items():
        told = read_json(folder / "report.json")["quality"]
        assert shown["ece"][name] == pytest.approx(100 * told["ece"])
        scaled = told["calibration"]["scaled"]
        assert shown["temperature"][name] == pytest.approx(told["calibration"]["temperature"], nan_ok=True)
        assert scaled is None or shown["ece_scaled"][name] == pytest.approx(100 * scaled["ece"])


def test_membership_is_told_on_the_students_labelled_images(full, quickstart):
    """The teacher trained on 1,078 images; here it is asked about the 50 that its students have labels of."""
    app = opened("trust", run=quickstart, part="privacy")
    shown = table(app, "auc")
    assert set(shown["members"]) == {50}
    for name, folder in models(full, quickstart).items():
        with np.load(folder / "members.npz") as told, np.load(models(full, quickstart)["int8"] / "members.npz") as own:
            losses = told["losses"][np.isin(told["images"], own["images"])]
            truth = np.r_[np.ones(len(losses)), np.zeros(len(told["test"]))]
            assert shown["auc"][name] == pytest.approx(roc_auc_score(truth, -np.r_[losses, told["test"]]))
    for one in memberships(RunFiles(full, quickstart)):
        assert verdict(one) in said(app)
        assert beside(one) in said(app)


def test_fidelity_is_the_comparisons(full, quickstart):
    shown = table(opened("trust", run=quickstart, part="fidelity"), "kl")
    for row in comparison.rows(full, [quickstart]):
        found = shown.loc[row["variant"]]
        assert (found["kl"], found["logit_error"]) == pytest.approx((row["kl"], 100 * row["logit_error"]))


def test_variants_are_chosen_in_the_url(full, quickstart):
    app = opened("trust", run=quickstart, variants=["teacher", "int8"], calibration="teacher", variant="int8")
    assert list(table(app, "ece").index) == ["teacher", "int8"]
    assert "Teacher " in said(app)
    part(app, "fidelity")
    assert list(table(app, "kl").index) == ["teacher", "int8"]
    assert "Most common error of int8: " in said(app)
    app.multiselect(key="variants").set_value(["student alone"]).run()
    assert asked(app, "variants") == ["student alone"]
    assert app.selectbox(key="against").value == "teacher"  # it has no parent
    assert list(table(part(app, "privacy"), "auc").index) == ["student alone"]


def test_a_step_is_shown_beside_its_parent_class_by_class(full, quickstart):
    app = opened("trust", run=quickstart, part="fidelity", variant="student distilled")
    assert "than student alone" in said(app) or "as student alone" in said(app)
    app.selectbox(key="variant").set_value("int8").run()
    assert "than pruned 50 %" in said(app) or "as pruned 50 %" in said(app)


def test_two_confusion_matrices_stand_beside_their_difference(full, quickstart):
    app = opened("trust", run=quickstart, part="fidelity", variant="int8", against="teacher")
    words = said(app)
    assert "Most common error of int8: " in words
    assert "Most common error of teacher: " in words
    assert "Test examples that int8 has more (blue) or fewer (orange) than teacher" in words
    app.selectbox(key="against").set_value("student alone").run()
    assert asked(app, "against") == ["student alone"]
    assert "than student alone" in said(app)


def test_a_hidden_class_leaves_no_temperature_and_says_why(full):
    app = opened("trust", run=runs(full)[0].id)
    assert "No temperature for student alone, student distilled" in said(app)
    assert "class 3 was hidden in training but occurs in validation" in said(app)
    assert np.isfinite(table(app, "ece")["temperature"]["teacher"])


def reseal(folder):
    """Takes the model's files, which a test has changed, for those that were written."""
    write_json(folder / "done.json", read_json(folder / "done.json") | {"files": inventory(folder)})


def test_models_of_before_say_what_to_press(full, quickstart):
    for folder in models(full, quickstart).values():
        quality = read_json(folder / "report.json")["quality"]
        quality.pop("calibration")
        changed(folder, quality=quality, privacy={})
        (folder / "members.npz").unlink()
        reseal(folder)
    app = opened("trust", run=quickstart)
    assert "Measured before calibration was added: teacher, student alone" in said(app)
    assert "Duplicate and start the run" in said(app)
    assert "Measured before membership was added: teacher, student alone" in said(part(app, "privacy"))
    assert len(table(part(app, "fidelity"), "kl")) == len(models(full, quickstart))
    part(app, "calibration").button(key="again_calibration").click().run()
    assert asked(app, "run") == [quickstart]
    assert app.title[0].value == "Runs"


def test_a_teacher_that_is_a_file_without_test_images(full, quickstart):
    folder = models(full, quickstart)["teacher"]
    with np.load(folder / "logits.npz") as logits:
        np.savez(folder / "logits.npz", validation=logits["validation"])
    (folder / "members.npz").unlink()
    changed(folder, quality=None, size=None, cost=None, privacy={"auc": None, "reason": "it was not trained here"})
    reseal(folder)
    app = opened("trust", run=quickstart)
    assert "teacher: a file of soft labels without test examples" in said(app)
    assert "teacher" not in table(app, "ece").index
    assert "Not known: it was not trained here" in said(part(app, "privacy"))
    assert "Not known: the teacher is a file of soft labels" in said(part(app, "fidelity"))


def test_images_with_several_labels(full, quickstart):
    """Each digit also holds the next one: what is told is told of single decisions."""
    plan = read_json(full.run(quickstart) / "plan.json")
    place = full.dataset(plan["dataset"]["fingerprint"]) / "test_labels.npy"
    labels = several(np.load(place))
    np.save(place, labels)
    classes = plan["dataset"]["classes"]
    for variant in plan["variants"]:
        for folder in map(full.model, variant["keys"]):
            with np.load(folder / "logits.npz") as logits:
                test = logits["test"], labels
            quality = multilabel_quality(*test, classes) | {"map_interval": map_interval(*test, 50), "hidden": []}
            told = {"value": 0.0, "low": -0.1, "high": 0.1, "p": 1.0}
            changed(folder, quality=quality | {"calibration": calibration(test, test), "against_parent": told})
            with np.load(folder / "members.npz") as members:
                np.savez(folder / "members.npz", **{**members, "labels": several(members["labels"])})
            reseal(folder)
    app = opened("trust", run=quickstart)
    assert set(table(part(app, "privacy"), "auc")["members"]) == {50}
    assert table(part(app, "fidelity"), "kl")["logit_error"]["teacher"] == 0
    assert "Int8 has " in said(app)
    assert "Examples with several labels have no confusion matrix" in said(app)


def several(labels):
    hot = np.eye(10, dtype=np.uint8)[labels]
    return hot | np.roll(hot, 1, axis=1)


def test_nothing_chosen_shows_nothing_that_is_wrong(full, quickstart):
    app = opened("trust", run=quickstart, variants="no-such-variant")
    assert len(table(app, "ece")) == len(models(full, quickstart))
    assert not app.error


def test_lost_test_images_cost_what_needs_them(full, quickstart):
    plan = read_json(full.run(quickstart) / "plan.json")
    for path in full.dataset(plan["dataset"]["fingerprint"]).iterdir():
        path.unlink()
    app = opened("trust", run=quickstart)
    assert len(table(app, "ece")) == len(models(full, quickstart))
    assert "test examples are no longer in the workspace" in said(part(app, "privacy"))
    assert "The test examples of this run's data set are no longer in the workspace" in said(part(app, "fidelity"))


def test_the_comparison_leads_here_and_shows_columns_on_trust_on_request(full, quickstart):
    app = opened("compare", runs=quickstart)
    app.toggle(key="trust_columns").set_value(True).run()
    assert not app.exception
    shown = table(app, "membership")
    for row in comparison.rows(full, [quickstart]):
        assert shown["kl"][row["variant"]] == pytest.approx(row["kl"])
        assert shown["membership"][row["variant"]] == pytest.approx(row["membership_auc"])
