"""The form of a run whose teacher is a published language model, and every page on such a run."""

from __future__ import annotations

import json
import shutil

import pytest

from kdcore.cli.main import main
from kdcore.jobs import api
from kdcore.workspace.workspace import Workspace
from pages.shared import store
from tests import gpt2
from tests.pages.conftest import opened, runs, said
from tests.pages.test_new import recipe_of


def form():
    app = opened("new")
    return again(app)


def again(app):
    """AppTest closes what was open whenever a control is used."""
    app.session_state["section_0"] = app.session_state["section_1"] = True
    app.run()
    assert not app.exception
    return app


def put(app, path, value):
    """Sets a text or a choice, whose key ends in a number of its own."""
    fields = [*app.text_input, *app.selectbox, *app.segmented_control]
    field = next(one for one in fields if (one.key or "").startswith(f"new.1.{path}"))
    field.set_value(value).run()
    again(app)
    return field


def test_the_form_offers_a_tokenizer_for_running_text_and_says_what_is_wrong_with_it(empty, tmp_path):
    app = form()
    put(app, "data.source.dataset", "python_source")
    field = put(app, "data.source.tokenizer", str(tmp_path / "gone"))
    assert "GPT-2" in field.help
    assert "is no folder with" in said(app)
    folder = gpt2.folder(tmp_path / "there")
    put(app, "data.source.tokenizer", str(folder))
    assert recipe_of(app)["data"]["source"]["tokenizer"] == str(folder)
    assert "is no folder with" not in said(app)


@pytest.mark.parametrize("source", ["trained", "language_model"])
def test_the_form_offers_its_model_as_a_teacher(empty, tmp_path, source):
    folder = gpt2.folder(tmp_path / "there")
    app = form()
    put(app, "data.source.dataset", "python_source")
    put(app, "teacher.source.teacher", source)
    put(app, "teacher.model.architecture", "gpt2")
    field = put(app, "teacher.model.weights", str(folder))
    assert "tokenizer of the same folder" in field.help
    recipe = recipe_of(app)["teacher"]
    assert (recipe["source"]["teacher"], recipe["model"]["weights"]) == (source, str(folder))


@pytest.fixture
def written(at_hand, tmp_path, monkeypatch):
    """A copy of a workspace with one run, and the run's id."""
    home = tmp_path / "workspace"
    shutil.copytree(gpt2.gpt2_workspace(), home, ignore=shutil.ignore_patterns("index.sqlite*"))
    shutil.copytree(at_hand, home, dirs_exist_ok=True)
    monkeypatch.setenv("KDCORE_HOME", str(home))
    monkeypatch.setattr(api, "ensure_dispatcher", lambda workspace: None)
    return runs(Workspace(home))[0].id


@pytest.mark.slow
def test_every_page_shows_its_run(written):
    assert "bits per character" in said(opened("compare", runs=written))
    assert all(row["bits_low"] < row["bits"] < row["bits_high"] for row in store.rows([written]))
    for page in ("soft_targets", "layers", "trust", "runs"):
        opened(page, run=written)
    assert "Validation bits per token" in opened("runs", run=written).get_by_key("curve_tokens").options
    app = opened("try_it", run=written)
    app.text_area(key="try_beginning").set_value("import sys").run()
    assert not app.exception
    assert [len(one.value) for one in app.code] == [210] * 4
    app.segmented_control(key="input").set_value("test").run()
    assert not app.exception


@pytest.mark.slow
def test_the_command_counts_characters(written, capsys):
    assert main(["continue", written, "import ", "--characters", "20", "--json"]) == 0
    assert [len(one["text"]) for one in json.loads(capsys.readouterr().out)["variants"]] == [20] * 4
