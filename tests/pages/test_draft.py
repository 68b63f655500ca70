"""The draft of a Recipe and its ways out: `--set` and Python."""

from __future__ import annotations

import json
import shlex

import pytest

from kdcore.jobs import api
from kdcore.presets import preset, presets
from kdcore.recipe import Recipe, override, parse
from kdcore.workspace.workspace import Workspace
from pages.new import preview
from pages.shared import draft

CHANGES = (
    "distill.temperature=7",
    "train.epochs=2",
    "train.views.mixup=0",
    'distill={"method": "hard_labels"}',
    'data.hide_classes=["3"]',
    "data.labels=null",
    "compress=[]",
    "seeds=[5, 6]",
    'student.model={"architecture": "mlp", "widths": [8, 8]}',
    'sweep={"distill.temperature": [1, 4]}',
    'name="it\'s $HOME \\"quoted\\""',
)


def changed(*assignments: str) -> Recipe:
    return parse(override(preset("quickstart").recipe.document(), assignments))


def run_line(recipe: Recipe) -> Recipe:
    """What a shell would make of the line that is offered to copy."""
    words = shlex.split(preview.command(recipe).replace("\\\n", " "))
    assert words[:4] == ["python", "-m", "kdcore", "run"]
    document = preset(words[4]).recipe.document()
    return parse(override(document, [word for word in words[5:] if word != "--set"]))


@pytest.mark.parametrize("change", CHANGES)
def test_the_command_line_makes_the_same_recipe(change):
    recipe = changed(change)
    assert run_line(recipe) == recipe


def test_all_changes_at_once():
    recipe = changed(*(change for change in CHANGES if "method" not in change))
    assert run_line(recipe) == recipe


@pytest.mark.parametrize("known", presets(), ids=lambda known: known.name)
def test_a_preset_is_its_own_line(known):
    assert preview.command(known.recipe) == f"python -m kdcore run {known.name}"


def test_only_what_differs_is_said():
    base = preset("quickstart").recipe.document()
    assert draft.assignments(base, override(base, ["distill.temperature=7", "train.epochs=2"])) == [
        ("distill.temperature", 7),
        ("train.epochs", 2),
    ]


def test_another_method_is_one_value():
    base = preset("quickstart").recipe.document()
    ((path, value),) = draft.assignments(base, changed('distill={"method": "hard_labels"}').document())
    assert (path, value["method"]) == ("distill", "hard_labels")


def test_the_program_makes_the_same_recipe(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("KDCORE_HOME", str(tmp_path))
    monkeypatch.setattr(api, "ensure_dispatcher", lambda workspace: None)
    recipe = changed(*CHANGES[:4])
    exec(preview.python(recipe), {})
    run_id = capsys.readouterr().out.strip()
    assert api.recipe(Workspace(), run_id) == recipe


def test_paths_reach_into_lists():
    document = json.loads(preset("quickstart").recipe.to_json())
    draft.put(document, "compress.0.ratio", 0.75)
    assert draft.at(document, "compress.0.ratio") == 0.75


def test_a_list_is_another_one_when_its_lines_have_changed(monkeypatch):
    """The browser sends back the line that was picked, and "cifar100 (to prepare)" is no set once it is "(here)"."""
    monkeypatch.setattr(draft.st, "session_state", {draft.TURN: 1, draft.TURNS: {}})
    keys = []
    for line in ("cifar100 (to prepare)", "cifar100 (to prepare)", "cifar100 (here)"):
        draft.follow("data.source.dataset", [line])
        keys.append(draft.key("data.source.dataset"))
    assert keys[0] == keys[1] != keys[2]
    assert draft.key("data.source.classes") == "new.1.data.source.classes"
