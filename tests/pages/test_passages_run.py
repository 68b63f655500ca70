"""Every page on a run of language models."""

from __future__ import annotations

import json
import shutil

import pytest

from kdcore.cli.main import main
from kdcore.jobs import api
from kdcore.workspace.workspace import Workspace
from pages.shared import store
from tests.pages.conftest import opened, runs, said
from tests.passages import passages_workspace

pytestmark = pytest.mark.slow


@pytest.fixture
def written(at_hand, tmp_path, monkeypatch):
    """A copy of a workspace with one run of language models, and the run's id."""
    home = tmp_path / "workspace"
    shutil.copytree(passages_workspace(), home, ignore=shutil.ignore_patterns("index.sqlite*"))
    shutil.copytree(at_hand, home, dirs_exist_ok=True)
    monkeypatch.setenv("KDCORE_HOME", str(home))
    monkeypatch.setattr(api, "ensure_dispatcher", lambda workspace: None)
    return runs(Workspace(home))[0].id


def test_compare_tells_bits_with_their_interval(written):
    app = opened("compare", runs=written)
    rows = store.rows([written])
    assert [row["variant"] for row in rows] == [
        "teacher", "student alone", "student, GKD", "student distilled", "int8 dynamic, linear layers",
    ]  # fmt: skip
    assert all(row["bits_low"] < row["bits"] < row["bits_high"] for row in rows)
    assert any("Bits/character" in str(frame.proto.columns) for frame in app.dataframe)
    assert "bits per character" in said(app)
    shown = next(one.value for one in app.dataframe if "bits_change" in one.value)
    assert shown["bits_change"].tolist() == pytest.approx([row["bits"] - rows[0]["bits"] for row in rows])


def test_lists_of_runs_say_bits(written, capsys):
    last = store.rows([written])[-1]["bits"]
    table = opened("runs", run=written).dataframe[0]
    assert table.value["bits"].tolist() == pytest.approx([last])
    assert "bits" in table.proto.column_order
    assert "score" not in table.proto.column_order
    assert f"{last:.3f} bits per character" in said(opened("home"))
    assert main(["runs"]) == 0
    assert f"{last:.3f}" in capsys.readouterr().out


@pytest.mark.parametrize("page", ["soft_targets", "layers", "trust", "runs"])
def test_every_other_page_shows_the_run(written, page):
    opened(page, run=written)


def test_try_it_lets_every_variant_write_on(written):
    app = opened("try_it", run=written)
    app.text_area(key="try_beginning").set_value("import sys").run()
    assert not app.exception
    texts = [one.value for one in app.code]
    assert len(texts) == 5
    assert all(text.startswith("import sys") and len(text) == 210 for text in texts)
    app.segmented_control(key="input").set_value("test").run()
    assert not app.exception
    assert len(app.table[0].value) == 5


def test_the_command_writes_the_same_text_and_refuses_what_it_cannot_do(written, capsys):
    assert main(["continue", written, "import ", "--characters", "20", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["variants"]
    assert len(found) == 5
    assert all(len(one["text"]) == 20 and one["characters_per_s"] > 0 for one in found)
    assert main(["continue", written, ""]) == 2
    assert main(["continue", written, "a", "--characters", "0"]) == 2
