"""The README against the program: what it tells a reader to type exists and does what is said."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import kdcore
from kdcore.cli import main
from kdcore.cli.runs import recipe_of
from kdcore.presets import preset, presets
from kdcore.recipe import parse
from kdcore.report import comparison
from kdcore.report.layers import COLUMNS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)


LINES = [line for block in blocks("sh") for line in block.splitlines()]
COMMANDS = [shlex.split(line, comments=True)[3:] for line in LINES if line.startswith("python -m kdcore")]


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_every_command_is_one_that_the_program_knows(arguments):
    chosen = main.parser().parse_args(arguments)
    experiment = getattr(chosen, "experiment", "")
    if experiment and not experiment.endswith(".json"):
        recipe, preset = recipe_of(experiment, chosen.set)
        assert preset == experiment
        assert recipe.name


def test_every_command_of_the_program_is_told():
    in_the_catalogs_line = {"models", "methods", "schemes", "teachers", "steps"}
    told = {arguments[0] for arguments in COMMANDS} | in_the_catalogs_line
    known = set(main.parser()._subparsers._group_actions[0].choices)
    assert known - told == {"worker"}  # which nobody types


def test_every_experiment_is_presented_by_its_title():
    assert [preset.title for preset in presets() if f"**{preset.title}**" not in README] == []


def test_the_columns_of_the_layers_are_told_in_their_order():
    (told,) = re.findall(r"write the columns (.*?), in this order", README, flags=re.DOTALL)
    assert tuple(re.findall(r"`(\w+)`", told)) == COLUMNS


def test_make_has_what_is_told():
    told = set(re.findall(r"`make ([a-z-]+)`", README)) | {
        line.split()[1] for line in LINES if line.startswith("make ")
    }
    made = (ROOT / "Makefile").read_text("utf-8")
    assert told
    assert [target for target in told if not re.search(rf"^{target}:.*## ", made, flags=re.MULTILINE)] == []


def test_the_recipes_are_accepted():
    swept, compressed = (parse(json.loads(recipe)) for recipe in blocks("json"))
    assert swept.sweep
    assert compressed.start == "model"


def test_the_python_example_asks_for_sound_recipes_and_known_columns(monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(kdcore, "run", lambda experiment: asked.append(preset(experiment).recipe) or {"run": "id"})
    monkeypatch.setattr(kdcore, "submit", lambda document: asked.append(parse(document)) or "id")
    monkeypatch.setattr(kdcore, "compare", lambda run: pd.DataFrame(columns=list(comparison.COLUMNS)))
    (example,) = [block for block in blocks("python") if "import kdcore\n" in block]
    exec(example, {})
    assert len(asked) == 2


def test_links_and_pictures_are_there():
    links = re.findall(r"\]\((?!http)([^)#]+)\)", README) + re.findall(r'(?:src|srcset)="([^"]+)"', README)
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_example_of_a_method_is_one():
    """In a process of its own, because it joins the registry."""
    (example,) = [block for block in blocks("python") if "@register" in block]
    check = """
import torch
from kdcore import registry
options = registry.validate("method", {"method": "absolute_logits", "hard_weight": 0})
method = registry.entry_of("method", options).implementation(options)
student, teacher = torch.zeros(2, 3), torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
print(float(sum(method.loss(StepInputs(student, teacher, torch.eye(3)[:2])).values())))
"""
    answer = subprocess.run(
        [sys.executable, "-c", example + check], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert float(answer.stdout) == pytest.approx(0.5 * (1 + 2 + 3) / 6)
