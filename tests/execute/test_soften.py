"""Writing soft-label files, and a whole way through the command line: forest, soft labels, student."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from kdcore.data.dataset import load
from kdcore.distill import softlabels
from kdcore.execute.soften import about, smoothed, soften
from kdcore.files import read_json
from kdcore.jobs import api
from kdcore.problems import RecipeError
from kdcore.recipe import Data, parse
from kdcore.registry import validate
from kdcore.report import comparison
from kdcore.workspace.workspace import Workspace
from tests.execute.conftest import QUICK
from tests.small import CUTS, small
from tests.texts import csv_source, recipe


@pytest.fixture(scope="module")
def digits():
    return load(small().data.source)


def command(workspace, *arguments):
    environment = {**os.environ, "KDCORE_HOME": str(workspace)}
    line = [sys.executable, "-m", "kdcore", *map(str, arguments)]
    return subprocess.run(line, env=environment, capture_output=True, text=True, check=False)


def test_one_more_tree_that_knows_nothing_leaves_no_zero():
    said = smoothed(np.array([[1.0, 0.0], [0.5, 0.5]]), trees=9)
    np.testing.assert_allclose(said, [[0.95, 0.05], [0.5, 0.5]])


@pytest.mark.parametrize(("name", "least"), [("forest", 0.93), ("svm", 0.95)])
def test_classic_models_write_what_they_say_of_every_image(tmp_path, digits, name, least):
    target = tmp_path / "soft.npz"
    done = soften(Workspace(tmp_path), f"sklearn:{name}", target, Data())
    found = softlabels.read(target, digits)
    assert done.images == len(found.train) == len(digits.train_labels)
    assert done.accuracy == (found.test.argmax(1) == digits.test_labels).mean() > least
    assert f"trained on {done.images - 120:,} examples" in found.source  # a tenth is for validation
    assert np.isfinite(found.train).all()


def test_a_forest_is_not_asked_about_images_by_trees_that_saw_them(tmp_path, digits):
    """Its answers to training images are then as unsure as those to test images, not nearly certain."""
    soften(Workspace(tmp_path), "sklearn:forest", tmp_path / "soft.npz", Data())
    found = softlabels.read(tmp_path / "soft.npz", digits)
    assert (found.train > np.log(1e-5)).all()  # no probability was zero
    train, test = (np.exp(part).max(1).mean() for part in (found.train, found.test))
    assert train == pytest.approx(test, abs=0.05)


def test_a_model_writes_the_logits_of_its_deployed_file(laboratory, tmp_path, digits):
    run_id = laboratory.run()
    for named, variant in ((run_id, "teacher"), (f"{run_id}/student alone", "student alone")):
        asked = about(laboratory.workspace, named, None, 0.1)
        soften(laboratory.workspace, named, tmp_path / "soft.npz", asked)
        found = softlabels.read(tmp_path / "soft.npz", digits)
        expected = np.load(laboratory.model(run_id, variant) / "logits.npz")["test"]
        np.testing.assert_allclose(found.test, expected, atol=1e-5)
        assert variant in found.source


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("sklearn:tree", None), "source: there is no sklearn:tree"),
        (("260101-000000-abcdef", None), "source: "),
        (("sklearn:svm", "nothing"), "data.source: "),
        (("sklearn:svm", {"dataset": "digit_scenes"}), "--data: digit_scenes has several labels"),
    ],
)
def test_what_cannot_be_softened_is_told_in_words(tmp_path, arguments, words):
    source, data = arguments
    with pytest.raises(RecipeError, match=words):
        soften(Workspace(tmp_path), source, tmp_path / "soft.npz", about(Workspace(tmp_path), source, data, 0.1))
    assert not (tmp_path / "soft.npz").exists()


@pytest.mark.slow
def test_a_forest_teaches_a_network_through_the_command_line(tmp_path):
    target = tmp_path / "forest.npz"
    wrote = command(tmp_path, "soften", "sklearn:forest", "-o", target, "--json")
    assert wrote.returncode == 0, wrote.stderr
    assert json.loads(wrote.stdout)["accuracy"] > 0.93
    named = json.dumps({"teacher": "soft_labels", "path": str(target)})
    sets = [*CUTS, *QUICK, "train.steps=150", "train.views.shift=0", "train.views.mixup=0", "data.transfer=true"]
    lines = [part for one in (*sets, f"teacher.source={named}") for part in ("--set", one)]
    ran = command(tmp_path, "run", "quickstart", *lines, "--json")
    assert ran.returncode == 0, ran.stderr
    rows = {row["variant"]: row for row in json.loads(ran.stdout)["variants"]}
    assert rows["student distilled"]["accuracy"] > rows["student alone"]["accuracy"]
    assert rows["teacher"]["size_bytes"] is None
    mixed = command(tmp_path, "submit", "quickstart", "--set", f"teacher.source={named}")
    assert mixed.returncode == 2
    assert "train.views.mixup: " in mixed.stderr


@pytest.mark.slow
def test_a_method_that_cannot_work_with_these_networks_ends_in_a_failed_run_in_words(laboratory):
    run_id = laboratory.submit('distill={"method":"fitnets","student_tap":"stage9"}')
    done = command(laboratory.workspace.root, "worker", run_id)
    result = read_json(laboratory.workspace.run(run_id) / "result.json")
    assert done.returncode == 1
    assert result["state"] == "failed"
    assert result["error"].startswith("the student has no stage 'stage9'; it has: stem")


def test_a_model_of_other_images_asks_for_its_data_set(laboratory, tmp_path):
    key = laboratory.key(laboratory.run())
    asked = about(laboratory.workspace, key, {"dataset": "digits"}, 0.1)
    assert soften(laboratory.workspace, key, tmp_path / "soft.npz", asked).images > 1000
    report = laboratory.workspace.model(key) / "done.json"
    done = read_json(report)
    report.write_text(json.dumps(done | {"dataset": done["dataset"] | {"shape": [3, 32, 32]}}))
    with pytest.raises(RecipeError, match="name its data set with --data"):
        soften(laboratory.workspace, key, tmp_path / "other.npz", asked)
    report.write_text(json.dumps(done))


@pytest.mark.parametrize(("name", "least"), [("forest", 0.7), ("svm", 0.8)])
def test_classic_models_learn_from_the_words_of_texts(tmp_path, name, least):
    source = csv_source(tmp_path)
    target = tmp_path / "soft.npz"
    done = soften(Workspace(tmp_path), f"sklearn:{name}", target, parse({"data": {"source": source}}).data)
    found = softlabels.read(target, load(validate("dataset", source)))
    assert done.images == len(found.train)
    assert done.accuracy > least


def test_a_file_of_soft_labels_teaches_on_texts(laboratory, tmp_path):
    source = csv_source(tmp_path)
    alone = {"seeds": [0], "controls": [], "compress": [], "measure": {"timing_seconds": 0}}
    first = api.submit(laboratory.workspace, parse(recipe(source, **alone)))
    laboratory.carry_out(first)
    target = tmp_path / "soft.npz"
    soften(laboratory.workspace, first, target, about(laboratory.workspace, first, None, 0.1))
    teacher = {"source": {"teacher": "soft_labels", "path": str(target)}}
    second = api.submit(laboratory.workspace, parse(recipe(source, **alone, teacher=teacher)))
    laboratory.carry_out(second)
    before, after = (comparison.rows(laboratory.workspace, [run]) for run in (first, second))
    assert [row["variant"] for row in after] == ["teacher", "student alone", "student distilled"]
    assert after[0]["accuracy"] == before[0]["accuracy"]
    assert after[0]["size_bytes"] is None
    assert after[2]["accuracy"] == pytest.approx(before[2]["accuracy"], abs=0.06)  # the same answers, from a table
