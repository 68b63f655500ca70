"""What the one-click experiments promise, at full length: `make test-slow`."""

import itertools
import json
import os
import subprocess
import sys

import pytest

from kdcore.jobs import api
from kdcore.presets import preset
from kdcore.recipe import Augmentation
from kdcore.workspace.workspace import Workspace

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """One workspace for all: what one experiment trains, another may use."""
    folder = tmp_path_factory.mktemp("presets")
    yield folder
    api.stop_all(Workspace(folder))


def run(home, name):
    command = [sys.executable, "-m", "kdcore", "run", name, "--json"]
    environment = os.environ | {"KDCORE_HOME": str(home)}
    done = subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=True)
    document = json.loads(done.stdout)
    return document, {row["variant"]: row for row in document["variants"]}


def test_the_quickstart_shows_what_soft_targets_carry_and_what_each_step_gives(home):
    document, rows = run(home, "quickstart")
    verdicts = {(told["variant"], told["against"]): told for told in document["verdicts"]}
    against_labels = verdicts["student distilled", "student alone"]
    assert against_labels["points"] >= 6
    assert against_labels["verdict"] == "BEATS"
    assert verdicts["student distilled", "student on hard labels"]["points"] > 0

    chain = [rows[name] for name in ("teacher", "student distilled", "pruned 50 %", "int8")]
    for before, after in itertools.pairwise(chain):
        assert after["size_bytes"] < before["size_bytes"]
        assert after["throughput_gain"] > before["throughput_gain"]
    teacher, last = chain[0], chain[-1]
    assert last["size_bytes"] <= 0.55 * chain[-2]["size_bytes"]
    assert teacher["size_bytes"] >= 15 * last["size_bytes"]
    assert last["throughput_gain"] >= 5
    assert teacher["accuracy"] - last["accuracy"] <= 0.05

    again, _ = run(home, "quickstart")
    assert all(stage["reused"] for stage in again["stages"])


def test_hot_targets_teach_a_digit_that_was_never_seen(home):
    document, _ = run(home, "unseen-digit")
    recall = {told["variant"]: told["recall"] for told in document["hidden"]}
    assert recall["student alone"] == 0
    assert recall["student distilled (temperature 1)"] < 0.02
    assert recall["student distilled (temperature 16)"] > 0.2


def test_pruning_holds_for_a_while_and_then_breaks(home):
    _, rows = run(home, "prune-until-it-breaks")
    assert rows["student distilled"]["accuracy"] - rows["pruned 25 %"]["accuracy"] < 0.03
    assert rows["pruned 94 %"]["accuracy"] < 0.5
    sizes = [row["size_bytes"] for name, row in rows.items() if name.startswith("pruned")]
    assert sizes == sorted(sizes, reverse=True)


def verdicts(document, against):
    return {told["variant"]: told for told in document["verdicts"] if told["against"] == against}


def test_hot_targets_hurt_a_student_that_is_too_small(home):
    document, _ = run(home, "when-distillation-hurts")
    briefly = verdicts(document, "student alone (epochs 20)")
    assert abs(briefly["student distilled (epochs 20, temperature 1)"]["points"]) < 3
    for temperature in (4, 16):
        told = briefly[f"student distilled (epochs 20, temperature {temperature})"]
        assert told["verdict"] == "WORSE"
        assert told["points"] < -5


def test_two_students_learn_from_each_other(home):
    document, _ = run(home, "two-students")
    told = verdicts(document, "student alone")["student distilled, mutual"]
    assert told["verdict"] == "BEATS"
    assert 1 < told["points"] < 8


def test_pruning_and_quantization_in_turn_and_jointly_end_alike(home):
    document, rows = run(home, "joint-or-in-turn")
    joint, in_turn = rows["80 % zeros and W2A8, jointly"], rows["QAT W2A8"]
    told = verdicts(document, "QAT W2A8")[joint["variant"]]
    assert (told["n"], told["basis"]) == (5, "seeds")
    assert abs(told["points"]) < 3
    for row in (joint, in_turn):
        assert row["sparsity"] >= 0.8
        assert row["size_bytes"] < 0.45 * rows["student distilled"]["size_bytes"]
        assert rows["student distilled"]["accuracy"] - row["accuracy"] < 0.04


def test_methods_are_told_apart_with_holms_correction(home):
    document, _ = run(home, "which-method")
    told = verdicts(document, "student alone")
    assert {name for name, one in told.items() if one["verdict"] == "BEATS"} >= {"student distilled", "student, DKD"}
    assert told["student, attention transfer"]["points"] < -5
    assert told["student on hard labels"]["verdict"] in ("SAME", "INCONCLUSIVE")


def test_the_papers_recipe_is_the_published_one():
    recipe = preset("reproduce-the-paper").recipe
    for train in (recipe.train, recipe.teacher.train):
        assert (train.epochs, train.batch_size, train.optimizer, train.learning_rate) == (240, 64, "sgd", 0.05)
        assert [240 * share for share in train.milestones] == [150, 180, 210]
        assert (train.weight_decay, train.decay_all, train.nesterov, train.precision) == (5e-4, True, False, "fp32")
        assert train.views == Augmentation(
            shift=4, flip=True
        )  # zeros around the raw pixels, as RandomCrop(32, padding=4)
    assert (recipe.distill.hard_weight, recipe.distill.soft_weight, recipe.distill.temperature) == (0.1, 0.9, 4)


def test_how_sure_the_teacher_is_of_each_digit_helps_more_than_its_verdicts(home):
    document, rows = run(home, "digit-scenes")
    for other, least in (("student alone", 3), ("student on hard labels", 1)):
        told = verdicts(document, other)["student, sigmoid KD"]
        assert (told["verdict"], told["measure"]) == ("BEATS", "mAP")
        assert told["points"] > least
    assert rows["teacher"]["map"] > 0.95
    assert rows["student, sigmoid KD"]["map"] - rows["int8"]["map"] < 0.05
