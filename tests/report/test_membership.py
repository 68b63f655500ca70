"""What models give away, told on the same images for a teacher and its students."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from kdcore.files import read_json, write_json
from kdcore.measure.privacy import area_difference
from kdcore.report import comparison
from kdcore.report.membership import NO_IMAGES, UNMEASURED, Membership, beside, memberships, verdict
from kdcore.report.reading import RunFiles
from tests.report.conftest import IMAGES

LABELS = np.arange(100) % 10  # of the first training images


class Records:
    """Writes what models lose on the first `members` training images, the less the more they remember."""

    def __init__(self, laboratory):
        self.laboratory, self.random = laboratory, np.random.default_rng(1)
        self.found = {}

    def model(self, members, remembers, start=0):
        key = self.laboratory.model(180)
        images = np.arange(start, start + members)
        told = {
            "images": images,
            "labels": LABELS[images % 100],
            "losses": self.random.exponential(np.exp(-remembers), members).astype(np.float32),
            "test": self.random.exponential(1.0, IMAGES).astype(np.float32),
        }
        np.savez(self.laboratory.workspace.model(key) / "members.npz", **told)
        self.found[key] = told
        return key

    def run(self, teacher_members=100, teacher_start=0):
        keys = {
            "teacher": self.model(teacher_members, 0.1, teacher_start),
            "student alone": self.model(40, 3.0),
            "student distilled": self.model(40, 0.5),
        }
        keys["int8"] = self.model(40, 0.5)
        roles = {"teacher": "teacher", "student alone": "alone", "student distilled": "distilled", "int8": "quantized"}
        rows = [{"name": name, "role": roles[name], "keys": [key]} for name, key in keys.items()]
        rows[-1]["parent"] = "student distilled"
        return self.laboratory.run(rows), keys


@pytest.fixture
def records(laboratory):
    return Records(laboratory)


def told(laboratory, run_id):
    return {one.variant: one for one in memberships(RunFiles(laboratory.workspace, run_id))}


def auc(told, members=slice(None)):
    losses = told["losses"][members]
    return roc_auc_score(np.r_[np.ones(len(losses)), np.zeros(IMAGES)], -np.r_[losses, told["test"]])


def test_a_teacher_is_asked_about_its_students_images(records, laboratory):
    run_id, keys = records.run()
    found = told(laboratory, run_id)
    assert (found["teacher"].members, found["teacher"].others, found["teacher"].shared) == (40, IMAGES, True)
    assert found["teacher"].auc == pytest.approx(auc(records.found[keys["teacher"]], slice(40)))
    assert found["student alone"].auc == pytest.approx(auc(records.found[keys["student alone"]]))


def test_a_teacher_that_did_not_see_them_all_is_asked_about_its_own(records, laboratory):
    run_id, keys = records.run(teacher_members=80, teacher_start=20)
    found = told(laboratory, run_id)
    assert (found["teacher"].members, found["teacher"].shared, found["teacher"].more) == (80, False, None)
    assert found["teacher"].auc == pytest.approx(auc(records.found[keys["teacher"]]))
    assert found["student distilled"].shared


def test_each_is_told_beside_what_it_is_compared_with(records, laboratory):
    run_id, keys = records.run()
    found = told(laboratory, run_id)
    assert [found[name].against for name in keys] == ["student alone", None, "student alone", "student distilled"]
    mine, other = (records.found[keys[name]] for name in ("student distilled", "student alone"))
    expected = area_difference(mine["losses"], mine["test"], other["losses"], other["test"])
    assert found["student distilled"].more == expected
    assert beside(found["student distilled"]).startswith("Leaks less than student alone, by 0.")
    assert beside(found["int8"]).startswith("No detectable difference from student distilled (within 0.")
    assert beside(found["student alone"]) == ""


def test_strangers_are_of_the_classes_that_members_have(records, laboratory):
    run_id, keys = records.run()
    for key in keys.values():
        told_of = records.found[key]
        np.savez(
            laboratory.workspace.model(key) / "members.npz", **told_of | {"labels": np.full(len(told_of["images"]), 3)}
        )
    threes = int((laboratory.labels == 3).sum())
    assert {one.others for one in told(laboratory, run_id).values()} == {threes}


def test_rows_of_the_comparison_have_the_area_and_its_interval(records, laboratory):
    run_id, _ = records.run()
    found = told(laboratory, run_id)
    for row in comparison.rows(laboratory.workspace, [run_id]):
        one = found[row["variant"]]
        assert (row["membership_auc"], row["membership_low"], row["membership_high"]) == (one.auc, one.low, one.high)


def test_models_of_before_are_told_as_unmeasured(laboratory, quickstart):
    found = memberships(RunFiles(laboratory.workspace, quickstart))
    assert {one.reason for one in found} == {UNMEASURED}
    assert verdict(found[0]) == f"Not known: {UNMEASURED}"
    row = comparison.rows(laboratory.workspace, [quickstart])[0]
    assert row["membership_auc"] is row["temperature"] is row["ece_scaled"] is None


def test_a_models_own_reason_is_told(records, laboratory):
    run_id, keys = records.run()
    folder = laboratory.workspace.model(keys["teacher"])
    (folder / "members.npz").unlink()
    report = read_json(folder / "report.json")
    write_json(folder / "report.json", report | {"privacy": {"auc": None, "reason": "it was not trained here"}})
    found = told(laboratory, run_id)
    assert found["teacher"].reason == "it was not trained here"
    assert found["student distilled"].auc is not None


def test_a_lost_data_set_costs_the_attack_alone(records, laboratory):
    run_id, _ = records.run()
    (laboratory.workspace.dataset("f00d") / "test_labels.npy").unlink()
    assert {one.reason for one in told(laboratory, run_id).values()} == {NO_IMAGES}


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.55, 0.65, "Leaks membership: AUC 0.60 (0.55 to 0.65)"),
        (0.45, 0.75, "No better than chance: AUC 0.60 (0.45 to 0.75)"),
        (0.3, 0.4, "Losses are higher on members than on non-members"),
    ],
)
def test_verdicts(low, high, words):
    one = Membership("s", "alone", 0.6, low, high, 50, 600, 0.2, None, "", True, None, None)
    assert verdict(one).startswith(words)
