"""`export` and `compare --differences`."""

from __future__ import annotations

import io
import zipfile

import pytest

from kdcore.cli import main
from kdcore.workspace.workspace import Workspace
from tests.pages.conftest import full_workspace


@pytest.fixture
def ids(monkeypatch):
    """The small quickstart, and another run."""
    home = full_workspace()
    monkeypatch.setenv("KDCORE_HOME", str(home))
    return Workspace(home).run_ids()


def test_a_variant_leaves_as_a_zip(ids, tmp_path):
    path = tmp_path / "int8.zip"
    assert main.main(["export", ids[0], "--variant", "int8", "-o", str(path)]) == 0
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
        assert set(archive.namelist()) == {"model.onnx", "labels.txt", "README.md", "recipe.json", "run.py"}


def test_runs_leave_as_one_page(ids, tmp_path):
    path = tmp_path / "report.html"
    assert main.main(["export", *ids, "--to", "html", "-o", str(path)]) == 0
    assert path.read_text("utf-8").startswith("<!doctype html>")


def test_the_differences_are_a_table(ids, capsys):
    assert main.main(["compare", *ids, "--differences", "--format", "csv"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"field,{ids[0]},{ids[1]}"
    assert any(line.startswith("train.steps,60,30") for line in lines)


def test_columns_are_chosen(ids, capsys):
    assert main.main(["compare", ids[0], "--columns", "variant,smaller"]) == 0
    assert capsys.readouterr().out.splitlines()[0].split() == ["|", "Variant", "|", "Smaller", "|"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["export", "RUN", "RUN", "-o", "x.zip"], "--to zip"),
        (["import", "missing.zip"], "was not imported"),
        (["export", "RUN", "--variant", "int4", "-o", "x.zip"], '"int4" is not in'),
        (["export", "RUN", "--to", "html", "--variant", "int8", "-o", "x.html"], "--variant"),
        (["export", "260101-000000-abcdef", "--to", "html", "-o", "x.html"], "there is no run"),
        (["compare", "RUN", "--differences"], "--differences"),
        (["compare", "RUN", "--columns", "size"], "no column 'size'"),
        (["compare", "RUN", "--columns", "macs", "--format", "json"], "--columns"),
    ],
)
def test_what_makes_no_sense_is_told_in_a_line(ids, monkeypatch, tmp_path, capsys, arguments, told):
    monkeypatch.chdir(tmp_path)
    assert main.main([ids[0] if word == "RUN" else word for word in arguments]) == 2
    assert told in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
