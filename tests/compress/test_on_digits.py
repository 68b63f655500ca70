"""Each step from the command line: in the catalog with its options, and carried out on digits in under a minute."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

from kdcore import registry
from kdcore.cli import main
from kdcore.cli.runs import recipe_of
from kdcore.jobs import api
from kdcore.plan.plan import plan
from kdcore.recipe import parse
from kdcore.workspace.workspace import Workspace
from tests import patience
from tests.families import step_names

ALL = [entry.name for entry in registry.entries("step")]
STEPS = step_names()
SHORT = ("seeds=[0]", "teacher.train.steps=60", "train.steps=null", "train.epochs=2", "measure.timing_seconds=1")
MLP = 'student.model={"architecture": "mlp", "widths": [32, 32, 32]}'  # layers can only be tied without batch norm


def asked(step):
    return [*SHORT, f'compress=[{{"step": "{step}"}}]', *([MLP] if step == "tie" else [])]


def test_the_catalog_tells_every_step_and_what_its_options_take(capsys):
    assert main.main(["steps", "--json"]) == 0
    told = {step["name"]: step for step in json.loads(capsys.readouterr().out)}
    assert list(told) == ALL
    for name, step in told.items():
        assert step["source"]
        assert isinstance(step["faster"], bool)
        defaults = {option: about["default"] for option, about in step["options"].items()}
        assert registry.validate("step", {"step": name, **defaults}) == registry.validate("step", name)


@pytest.mark.parametrize("step", STEPS)
def test_every_step_can_be_asked_for_on_the_command_line(step):
    recipe, _ = recipe_of("quickstart", asked(step))
    planned = plan(recipe)
    assert planned.variants[-1].parent == "student distilled"
    assert parse(recipe.document()) == recipe


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A workspace in which teacher and students are there already."""
    folder = tmp_path_factory.mktemp("digits")
    run(folder, "compress=[]", *SHORT)
    run(folder, "compress=[]", *SHORT, MLP)
    yield folder
    api.stop_all(Workspace(folder))


def run(folder, *assignments):
    command = [sys.executable, "-m", "kdcore", "run", "quickstart", "--json"]
    for assignment in assignments:
        command += ["--set", assignment]
    environment = {**os.environ, "KDCORE_HOME": str(folder)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_every_step_runs_on_digits_in_under_a_minute(home, step):
    """On a machine that does nothing else."""
    started = time.perf_counter()
    document = run(home, *asked(step))
    seconds = time.perf_counter() - started
    assert document["state"] == "done"
    assert document["variants"][-1]["size_bytes"] > 0
    assert seconds < patience.stretched(60)
