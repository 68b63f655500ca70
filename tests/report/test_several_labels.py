"""Runs on images with several labels: judged by mean average precision."""

import json
from itertools import count

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import average_precision_score

from kdcore.files import write_json
from kdcore.measure.multilabel import map_difference, map_interval, multilabel_quality
from kdcore.report import comparison
from kdcore.report.verdicts import shares

N, CLASSES = 200, ("a", "b", "c")


class Scenes:
    """Writes models and runs on N images with label sets; the more noise, the worse a model."""

    def __init__(self, laboratory):
        self.laboratory, self.random, self.serial = laboratory, np.random.default_rng(0), count()
        self.labels = (self.random.random((N, 3)) < 0.4).astype(np.uint8)
        np.save(laboratory.workspace.dataset("f00d") / "test_labels.npy", self.labels)
        self.logits = {}

    def model(self, noise, parent=None):
        logits = 4.0 * self.labels - 2 + noise * self.random.normal(size=self.labels.shape)
        key = self.laboratory.model(N)
        folder = self.laboratory.workspace.model(key)
        np.savez(folder / "logits.npz", test=logits, validation=logits[:20])
        quality = multilabel_quality(logits, self.labels, CLASSES) | {"map_interval": map_interval(logits, self.labels)}
        if parent:
            quality["against_parent"] = map_difference(logits, self.logits[parent], self.labels)
        report = json.loads((folder / "report.json").read_text())
        write_json(folder / "report.json", report | {"quality": quality | {"hidden": []}})
        self.logits[key] = logits
        return key

    def map(self, key):
        return np.mean([average_precision_score(self.labels[:, k], self.logits[key][:, k]) for k in range(3)])


@pytest.fixture
def scenes(laboratory):
    return Scenes(laboratory)


@pytest.fixture
def run(scenes):
    """A teacher, three seeds of a student alone and one distilled, and a pruned file."""
    distilled = [scenes.model(1.5) for _ in range(3)]
    rows = [
        {"name": "teacher", "role": "teacher", "keys": [scenes.model(1.2)]},
        {"name": "student alone", "role": "alone", "keys": [scenes.model(4.0) for _ in range(3)]},
        {"name": "student, sigmoid KD", "role": "distilled", "keys": distilled},
        {"name": "pruned 50 %", "role": "pruned", "keys": [scenes.model(6.0, distilled[0])],
         "parent": "student, sigmoid KD"},
    ]  # fmt: skip
    return scenes.laboratory.run(rows), {row["name"]: row["keys"] for row in rows}


def named(scenes, run_id):
    return {row["variant"]: row for row in comparison.rows(scenes.laboratory.workspace, [run_id])}


def test_rows_tell_mean_average_precision_and_whole_label_sets(scenes, run):
    run_id, keys = run
    rows = named(scenes, run_id)
    maps = [scenes.map(key) for key in keys["student alone"]]
    row = rows["student alone"]
    assert row["measure"] == "mAP"
    assert row["map"] == row["score"] == pytest.approx(np.mean(maps))
    low, high = stats.t.interval(0.95, 2, np.mean(maps), stats.sem(maps))
    assert (row["score_low"], row["score_high"]) == pytest.approx((low, high))
    exact = [((scenes.logits[key] > 0) == scenes.labels).all(axis=1).mean() for key in keys["student alone"]]
    assert row["accuracy"] == pytest.approx(np.mean(exact))
    assert row["top5"] is None
    assert rows["teacher"]["score_low"] < rows["teacher"]["score"] < rows["teacher"]["score_high"]


def test_agreement_is_that_of_single_decisions(scenes, run):
    run_id, keys = run
    mine, teachers = (scenes.logits[keys[name][0]] > 0 for name in ("student alone", "teacher"))
    assert named(scenes, run_id)["student alone"]["agreement"] == pytest.approx((mine == teachers).mean())


def test_students_are_judged_by_seed_and_steps_by_image(scenes, run):
    run_id, keys = run
    verdicts = {one.variant: one for one in comparison.verdicts(scenes.laboratory.workspace, run_id)}
    student, step = verdicts["student, sigmoid KD"], verdicts["pruned 50 %"]
    pairs = zip(keys["student, sigmoid KD"], keys["student alone"], strict=True)
    differences = [100 * (scenes.map(mine) - scenes.map(other)) for mine, other in pairs]
    assert (student.verdict, student.basis, student.measure) == ("BEATS", "seeds", "mAP")
    assert student.points == pytest.approx(np.mean(differences))
    assert student.words.startswith(f"Better than the student alone by {np.mean(differences):.1f} points of mAP (")
    assert (step.verdict, step.basis, step.n) == ("WORSE", "test examples", N)
    lost = 100 * (scenes.map(keys["pruned 50 %"][0]) - scenes.map(keys["student, sigmoid KD"][0]))
    assert step.points == pytest.approx(lost)
    assert step.low < step.points < step.high < 0
    assert " points of mAP (" in step.words
    assert named(scenes, run_id)["pruned 50 %"]["parent_delta"] == pytest.approx(lost / 100)


def test_differences_to_a_baseline_are_of_mean_average_precision(scenes, run):
    run_id, _ = run
    workspace = scenes.laboratory.workspace
    rows = comparison.rows(workspace, [run_id])
    found = comparison.differences(workspace, rows, rows[0])
    assert found[1].points == pytest.approx(100 * (rows[1]["map"] - rows[0]["map"]))


def test_runs_that_are_judged_by_different_measures_have_no_difference(scenes, run, laboratory):
    run_id, _ = run
    single = laboratory.run([{"name": "teacher", "role": "teacher", "keys": [laboratory.model(190)]}])
    rows = comparison.rows(laboratory.workspace, [run_id, single])
    found = comparison.differences(laboratory.workspace, rows, rows[0])
    assert found[-1].points is None
    assert rows[-1]["map"] is None
    assert rows[-1]["score"] == rows[-1]["accuracy"]


def test_words_say_what_was_measured():
    dataset = {"train": 2700, "labelled": 200, "seen": 200, "test": 1000, "multilabel": True}
    assert "(mAP) is measured on 1,000 held-out test images" in shares(dataset)
