"""What the one-click experiments promise, at full length: `make test-slow`."""

import itertools
import json
import os
import subprocess
import sys

import pytest

from kdcore.jobs import api
from kdcore.pipeline.workspace import Workspace

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """One workspace for all: what one experiment trains, another may use."""
    folder = tmp_path_factory.mktemp("presets")
    yield folder
    api.stop_all(Workspace(folder))


def run(home, preset):
    command = [sys.executable, "-m", "kdcore", "run", preset, "--json"]
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
