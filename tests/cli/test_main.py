import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile

import pytest

import kdcore
from kdcore.cli import main, runs
from kdcore.cli.runs import recipe_of
from kdcore.jobs import api
from kdcore.models import cost
from kdcore.paths import CHECKOUT
from kdcore.report.layers import COLUMNS
from kdcore.workspace.index import Index
from kdcore.workspace.workspace import Workspace
from tests.small import CUTS, full_workspace, small


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.setenv("KDCORE_HOME", str(tmp_path / "w"))
    return Workspace().ensure()


@pytest.fixture(scope="module")
def carried_out(tmp_path_factory):
    """A workspace with one run, made by `run` itself of models that are there already, and what it printed."""
    home = tmp_path_factory.mktemp("cli")
    shutil.copytree(full_workspace() / "models", home / "models")
    command = [sys.executable, "-m", "kdcore", "run", "quickstart", "--json"]
    for cut in CUTS:
        command += ["--set", cut]
    environment = {**os.environ, "KDCORE_HOME": str(home)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    yield Workspace(home), json.loads(done.stdout)
    api.stop_all(Workspace(home))


def test_run_prints_one_json_document_with_the_six_variants(carried_out):
    _, document = carried_out
    assert document["state"] == "done"
    assert [row["variant"] for row in document["variants"]] == [
        "teacher",
        "student alone",
        "student on hard labels",
        "student distilled",
        "pruned 50 %",
        "int8",
    ]
    assert {"stage", "key", "reused", "seconds"} <= set(document["stages"][0])
    assert document["environment"]["cpu"]
    assert document["recipe"]["distill"]["method"] == "kd"


@pytest.fixture
def copied(carried_out, monkeypatch, tmp_path):
    """The workspace with one run, to change, and the run's document."""
    made, document = carried_out
    home = shutil.copytree(made.root, tmp_path / "copy", ignore=shutil.ignore_patterns("index.sqlite*", "*.lock"))
    monkeypatch.setenv("KDCORE_HOME", str(home))
    yield Workspace(home), document
    api.stop_all(Workspace(home))


@pytest.mark.slow
def test_robustness_is_measured_through_the_queue(copied, capsys):
    workspace, document = copied
    assert main.main(["robustness", document["run"], "--images", "60", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["runs"][0]
    assert told["protocol"]["images"] == 60
    assert [row["variant"] for row in told["variants"]] == [row["variant"] for row in document["variants"]]
    assert all(len(row["scores"]["noise"]) == 5 and row["corrupted"] < row["clean"] for row in told["variants"])
    index = Index(workspace)
    index.sync()
    measuring = index.runs()[0]
    assert (measuring.preset, measuring.state, measuring.progress) == ("robustness", "done", 1.0)
    assert main.main(["robustness", document["run"], "--images", "60"]) == 0
    assert "int8 against pruned 50 %: " in capsys.readouterr().out
    assert main.main(["robustness", document["run"], "--images", "0"]) == 2
    assert "images: at least one" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["csv", "markdown", "latex", "html", "json", "xlsx"])
def test_compare_writes_every_format(carried_out, monkeypatch, tmp_path, form):
    workspace, document = carried_out
    monkeypatch.setenv("KDCORE_HOME", str(workspace.root))
    target = tmp_path / f"table.{form}"
    assert main.main(["compare", document["run"], "--format", form, "-o", str(target)]) == 0
    content = zipfile.ZipFile(target).read("xl/worksheets/sheet1.xml") if form == "xlsx" else target.read_bytes()
    assert (b"parent_delta" if form in ("csv", "json") else b"ccuracy") in content or form == "xlsx"
    assert len(content) > 500


def test_show_and_runs_tell_the_run(carried_out, monkeypatch, capsys):
    workspace, document = carried_out
    monkeypatch.setenv("KDCORE_HOME", str(workspace.root))
    assert main.main(["runs", "--json"]) == 0
    row = json.loads(capsys.readouterr().out)[0]
    assert (row["id"], row["state"], row["progress"]) == (document["run"], "done", 1.0)
    assert main.main(["show", document["run"]]) == 0
    shown = capsys.readouterr().out
    assert "student distilled" in shown
    assert "The teacher was trained on all" in shown
    assert main.main(["show", document["run"], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["variants"] == document["variants"]


def test_show_tells_the_layers_of_a_variant(carried_out, monkeypatch, capsys, tmp_path):
    workspace, document = carried_out
    monkeypatch.setenv("KDCORE_HOME", str(workspace.root))
    shown = ["show", document["run"], "--layers"]
    assert main.main([*shown, "int8", "--format", "json"]) == 0
    (variant,) = json.loads(capsys.readouterr().out)["variants"]
    assert [layer["name"] for layer in variant["layers"]] == ["stem.conv", "stage1.conv", "stage2.conv", "head"]
    assert [layer["bits"] for layer in variant["layers"]] == [32, 8, 8, 8]  # a layer of one channel stays float
    assert all(10 < layer["sqnr_db"] < 60 for layer in variant["layers"][1:])
    assert variant["sqnr"]["images"] == 64
    assert 10 < variant["sqnr"]["logits_db"] < 60
    assert main.main([*shown, "pruned 50 %", "--format", "csv", "-o", str(tmp_path / "layers.csv")]) == 0
    lines = (tmp_path / "layers.csv").read_text().splitlines()
    assert lines[0] == ",".join(COLUMNS)
    assert "its output is 4×8×8, in the parent file 8×8×8" in lines[1]
    assert main.main([*shown, "teacher"]) == 0
    assert capsys.readouterr().out.splitlines()[2].startswith("|")
    assert main.main([*shown, "int9"]) == 2
    assert '--layers: "int9" is not in' in (told := capsys.readouterr().err)
    assert "there are: teacher, student alone" in told
    assert main.main([*shown, "int8", "--json", "--format", "csv"]) == 2
    assert main.main([*shown, "int8", "-o", str(tmp_path)]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_listing_commands_import_no_torch(carried_out):
    workspace, document = carried_out
    for command in (["runs"], ["presets"], ["show", document["run"]], ["methods"]):
        code = (
            f"import sys; from kdcore.cli.main import main; main({command!r});"
            "assert not {'torch', 'pandas', 'scipy'} & set(sys.modules), 'heavy'"
        )
        environment = {**os.environ, "KDCORE_HOME": str(workspace.root)}
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=environment)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["run", "nothing"], "there is no preset 'nothing'"),
        (["run", "missing.json"], "missing.json cannot be read"),
        (["run", "quickstart", "--set", "distill.temperature=0"], "distill.temperature: 0 is not accepted"),
        (["run", "quickstart", "--set", "train.colour=3"], "train.colour: there is no such field"),
        (["submit", "quickstart", "--set", "data.labels=99999"], "data.labels"),
        (["submit", "quickstart", "--set", 'data.hide_classes=["zebra"]'], "data.hide_classes"),
        (["show", "no-such-run"], "there is no run 'no-such-run'"),
        (["show", "no-such-run", "--format", "csv"], "--format: applies to layers: add --layers VARIANT"),
        (["show", "no-such-run", "--layers", "int8"], "there is no run"),
        (["compare", "no-such-run"], "there is no run"),
        (["bench", "no-such-run"], "there is no run"),
        (["robustness", "no-such-run"], "there is no run"),
        (["stop"], "give a run id, or --all"),
        (["fly"], "invalid choice"),
    ],
)
def test_bad_input_is_told_in_one_line_and_changes_nothing(workspace, capsys, arguments, told):
    try:
        code = main.main(arguments)
    except SystemExit as exit:  # argparse leaves by itself
        code = exit.code
    captured = capsys.readouterr()
    assert code == 2
    assert told in captured.err
    assert len(captured.err.strip().splitlines()) == 1
    assert captured.out == ""
    assert workspace.run_ids() == []


def test_a_recipe_file_is_the_same_as_the_preset(workspace, tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(small().to_json())
    assert recipe_of(str(path), [])[0] == recipe_of("quickstart", CUTS)[0]


def test_a_changed_recipe_says_how_many_images_its_steps_need(workspace, monkeypatch, capsys):
    monkeypatch.setattr(api, "ensure_dispatcher", lambda workspace: None)
    monkeypatch.setattr(runs, "_warn", lambda recipe: None)  # counts parameters in a process of its own
    assert main.main(["submit", "quickstart", "--set", 'compress=[{"step": "int8", "images": 16}]']) == 0
    said = capsys.readouterr().err
    assert "Int8 uses at most 16 images." in said
    assert "With 600 test images, an accuracy of 90.0 % has a 95 % interval" in said


def test_cancel_resume_and_delete_steer_a_run(workspace, monkeypatch, capsys):
    monkeypatch.setattr(api, "ensure_dispatcher", lambda workspace: None)
    run_id = api.submit(workspace, small())
    index = Index(workspace)

    def state():
        index.sync()
        return index.run(run_id).state

    assert main.main(["cancel", run_id]) == 0
    assert state() == "cancelled"
    capsys.readouterr()
    assert main.main(["stop", run_id]) == 0
    assert capsys.readouterr().out == f"{run_id}: is cancelled; cannot stop it\n"
    assert state() == "cancelled"
    assert main.main(["resume", run_id]) == 0
    assert state() == "queued"
    capsys.readouterr()
    assert main.main(["resume", run_id]) == 0
    assert capsys.readouterr().out == f"{run_id}: is queued; cannot resume it\n"
    assert main.main(["delete", run_id]) == 0
    index.sync()
    assert index.runs() == []
    assert main.main(["restore", run_id]) == 0
    assert state() == "queued"
    capsys.readouterr()
    assert main.main(["restore", run_id]) == 2
    assert "not in the trash" in capsys.readouterr().err
    assert main.main(["delete", run_id]) == 0
    assert main.main(["gc"]) == 0
    assert "1 deleted run" in capsys.readouterr().out


def test_catalogs_are_json_with_the_options_and_their_help(capsys):
    for name in ("datasets", "models", "methods", "steps"):
        assert main.main([name, "--json"]) == 0
        for entry in json.loads(capsys.readouterr().out):
            assert entry["description"]
            assert all(option.get("description") or "$ref" in option for option in entry["options"].values())


def test_an_experiment_whose_cost_cannot_be_counted_is_queued_without_advice(workspace, capsys, monkeypatch):
    def too_slow(questions):
        raise cost.CostError("it took too long")

    monkeypatch.setattr(cost, "costs", too_slow)
    monkeypatch.setattr(api, "ensure_dispatcher", lambda workspace: None)
    assert main.main(["submit", "quickstart", "--set", "seeds=[0]"]) == 0
    said = capsys.readouterr()
    assert [folder.name for folder in workspace.runs.iterdir()] == said.out.split()
    assert "no advice on this experiment: it took too long" in said.err


def test_plan_lists_the_stages_and_starts_nothing(workspace, capsys):
    assert main.main(["plan", "quickstart", "--set", "seeds=[0]", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["stages"][0] == made["stages"][0] | {"stage": "teacher", "complete": False}
    assert made["estimate"]["seconds"] is None
    assert main.main(["plan", "quickstart"]) == 0
    assert "Nothing has run on this machine yet" in capsys.readouterr().err
    assert not list(workspace.run_ids())


def test_doctor_looks_at_everything(workspace, capsys):
    assert main.main(["doctor", "--json"]) == 0
    checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)}
    expected = {
        "python",
        "versions",
        "libraries",
        "plug-ins",
        "device",
        "workspace",
        "index",
        "runs",
        "queue",
        "launcher",
    }
    assert set(checks) == expected
    assert checks["libraries"]["found"].startswith("torch 2.")


def test_the_version_is_that_of_the_package(capsys):
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))["project"]
    with pytest.raises(SystemExit) as ended:
        main.main(["--version"])
    assert (ended.value.code, capsys.readouterr().out) == (0, f"kdcore {kdcore.__version__}\n")
    assert kdcore.__version__ == project["version"]
