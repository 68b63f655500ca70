"""A whole run on images with several labels each: trained, distilled, pruned, quantized, judged."""

import json

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from kdcore.export import runtime
from kdcore.files import read_json
from kdcore.report import comparison

SCENES = {"dataset": "digit_scenes", "scenes": 200, "test_scenes": 100, "size": 16}
STEPS = [
    {"step": "prune_structured", "ratio": 0.5, "round_to": 2, "finetune": {"steps": 4}},
    {"step": "int8", "images": 64},
]
CHANGES = {
    "data": {"source": SCENES, "labels": 60, "transfer": True},
    "teacher.train.views.mixup": 0.2,
    "distill": {"method": "sigmoid", "temperature": 2},
    "controls": [{"method": "hard_labels"}, {"method": "rkd"}],
    "compress": STEPS,
}


@pytest.fixture(scope="module")
def run(laboratory):
    run_id = laboratory.run(*(f"{path}={json.dumps(value)}" for path, value in CHANGES.items()))
    return laboratory, run_id, comparison.rows(laboratory.workspace, [run_id])


def test_every_arm_and_step_is_measured_by_mean_average_precision(run):
    _, _, rows = run
    assert [row["variant"] for row in rows] == [
        "teacher", "student alone", "student on hard labels", "student, RKD", "student, sigmoid KD", "pruned 50 %",
        "int8",
    ]  # fmt: skip
    for row in rows:
        assert row["measure"] == "mAP"
        assert 0 < row["score_low"] <= row["map"] <= row["score_high"] < 1


def test_what_is_told_is_that_of_the_deployed_file(run):
    laboratory, _, rows = run
    folder = laboratory.workspace.model(rows[-1]["model_key"])
    plan = laboratory.plan(run[1])
    assert plan.dataset["multilabel"]
    place = laboratory.workspace.dataset(plan.dataset["fingerprint"])
    images, labels = np.load(place / "test_images.npy"), np.load(place / "test_labels.npy")
    logits = runtime.logits(folder / "model.onnx", runtime.pixels(images))
    expected = [average_precision_score(labels[:, k], logits[:, k]) for k in range(10)]
    assert rows[-1]["map"] == pytest.approx(np.mean(expected), abs=1e-4)
    report = read_json(folder / "report.json")["quality"]
    assert report["accuracy"] == pytest.approx(((logits > 0) == labels).all(axis=1).mean(), abs=0.011)


def test_steps_are_judged_against_their_parents_by_image(run):
    laboratory, run_id, rows = run
    told = {one.variant: one for one in comparison.verdicts(laboratory.workspace, run_id)}
    difference = 100 * (rows[-1]["map"] - rows[-2]["map"])
    assert told["int8"].points == pytest.approx(difference, abs=1e-6)
    assert told["int8"].low <= told["int8"].points <= told["int8"].high
    assert " of mAP (" in told["int8"].words


def test_histories_tell_whole_label_sets(run):
    laboratory, run_id, _ = run
    rows = (laboratory.model(run_id, "student, sigmoid KD") / "history.jsonl").read_text().splitlines()
    last = json.loads(rows[-1])
    assert 0 <= last["val_accuracy"] <= 1
    assert np.isfinite([last["loss"], last["val_loss"]]).all()
