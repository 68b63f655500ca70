"""The command line in a workspace of which a run is damaged: the others are served, and this one is named."""

from __future__ import annotations

import json

import pytest

from kdcore.cli.main import main
from kdcore.jobs import api
from kdcore.workspace.workspace import Workspace
from tests.damage.corpus import JSON_DAMAGES
from tests.damage.runs import FILES, new_run

SAMPLE = ("empty", "gone", "newer schema", "lists nested deep", "null inside", "huge inside", "a folder")


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.setenv("KDCORE_HOME", str(tmp_path))
    monkeypatch.setattr(api, "ensure_dispatcher", lambda workspace: None)
    return Workspace().ensure()


@pytest.fixture
def damaged(workspace, request):
    """A whole run, and one of which a file is damaged."""
    whole, broken = new_run(workspace), new_run(workspace, "b" * 64)
    file, damage = request.param
    JSON_DAMAGES[damage](workspace.run(broken) / file)
    return whole, broken, file


KINDS = [(file, damage) for file in FILES for damage in SAMPLE]
KINDS = [kind for kind in KINDS if kind not in (("status.json", "gone"), ("result.json", "gone"))]


@pytest.mark.parametrize("damaged", KINDS, indirect=True, ids=": ".join)
def test_every_command_serves_the_others_and_names_the_damaged_one(damaged, capsys):
    whole, broken, file = damaged
    for command in (["runs"], ["reindex"], ["gc"], ["show", whole], ["compare", whole]):
        assert main(command) == 0, command
    capsys.readouterr()
    assert main(["runs", "--json"]) == 0
    rows = {row["id"]: row for row in json.loads(capsys.readouterr().out)}
    assert (rows[whole]["state"], rows[broken]["state"], rows[broken]["damaged"]) == ("done", "damaged", file)
    assert main(["show", broken]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert file in line
    assert broken in line.partition(file)[2], "what can be done"
    assert main(["delete", broken]) == 0
    assert main(["gc"]) == 0


@pytest.mark.parametrize("damaged", [kind for kind in KINDS if "plan" not in kind[0] and "recipe" not in kind[0]],
                         indirect=True, ids=": ".join)  # fmt: skip
def test_what_the_machinery_tells_of_a_run_is_made_anew_by_resume(damaged, workspace):
    _, broken, file = damaged
    assert main(["resume", broken]) == 0
    assert api.queue(workspace).runs == [broken]
    assert list(workspace.run(broken).glob(f"{file}.*.damaged")) or not (workspace.run(broken) / file).is_dir()


@pytest.mark.parametrize("damaged", [("plan.json", "empty"), ("recipe.json", "a list")], indirect=True, ids=": ".join)
def test_what_a_person_asked_for_is_not_made_up(damaged, workspace, capsys):
    _, broken, file = damaged
    assert main(["resume", broken]) == 1
    assert file in capsys.readouterr().err
    assert (workspace.run(broken) / file).is_file()


@pytest.mark.parametrize("damaged", [("plan.json", "empty")], indirect=True, ids=": ".join)
def test_the_clean_up_says_which_run_stands_in_its_way(damaged, workspace, capsys):
    _, broken, _ = damaged
    workspace.model("c" * 64).mkdir()
    workspace.discard(new_run(workspace))
    assert main(["gc"]) == 0
    found = capsys.readouterr()
    assert "0 models and 1 deleted runs" in found.out
    assert broken in found.err
    assert main(["delete", broken]) == main(["gc"]) == 0
    assert not list(workspace.models.iterdir())


def test_the_doctor_names_what_is_damaged_and_what_is_not_ours(workspace, monkeypatch, capsys):
    from kdcore.jobs import doctor

    monkeypatch.setattr(doctor, "_libraries", lambda: doctor.Check("libraries", True, "not looked at"))
    broken = new_run(workspace)
    (workspace.run(broken) / "meta.json").write_text("")
    (workspace.runs / "My run").mkdir()
    assert main(["doctor", "--json"]) == 1
    told = {check["name"]: check for check in json.loads(capsys.readouterr().out)}["runs"]
    assert not told["ok"]
    assert f"resume {broken}" in told["found"]
    assert "My run" in told["found"]
