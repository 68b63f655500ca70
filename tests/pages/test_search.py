"""Search: asking for one on New experiment, and what its own page shows of one that has ended."""

from __future__ import annotations

import shutil

import pytest

from kdcore.files import write_json
from kdcore.jobs import api
from kdcore.problems import Problem, RecipeError
from kdcore.workspace import shapes
from kdcore.workspace.workspace import Workspace
from tests.pages.conftest import opened, said
from tests.pages.test_new import recipe_of
from tests.search.conftest import searched  # noqa: F401


@pytest.fixture
def ended(searched, at_hand, tmp_path, monkeypatch):  # noqa: F811
    """A workspace with a search that has ended, and what it found."""
    made, run, found = searched
    home = shutil.copytree(made.root, tmp_path / "w", ignore=shutil.ignore_patterns("index.sqlite*"))
    shutil.copytree(at_hand, home, dirs_exist_ok=True)
    monkeypatch.setenv("KDCORE_HOME", str(home))
    monkeypatch.setattr(api, "ensure_dispatcher", lambda workspace: None)
    return Workspace(home), run, found


def test_without_a_search_the_page_leads_to_the_form(empty):
    app = opened("search")
    app.button(key="empty_new/page.py").click().run()
    assert app.title[0].value == "New experiment"


def test_a_search_that_has_ended_shows_winner_control_and_candidates(ended):
    workspace, run, found = ended
    stopped = found["trials"][0] | {"number": 99, "state": "stopped", "why": "behind after 1/9 of the training steps"}
    found = {**found, "trials": [*found["trials"], stopped]}
    write_json(workspace.run(run) / shapes.SEARCH, found)
    app = opened("search", run=run)
    final = found["final"]
    assert "1 stopped early" in said(app)
    assert final["winner"]["label"] in app.success[0].value.replace("\\", "")
    table = app.table[0].value
    assert list(table.columns) == ["Winner", "Control (uniform)", "Reference"]
    assert len(app.dataframe[0].value) == len(found["trials"])
    candidates = app.dataframe[0].value
    assert candidates["State"].tolist().count("within the limits") >= 1
    assert candidates["Why"][candidates["State"] == "stopped early"].tolist() == [stopped["why"]]
    assert candidates["Other options"].str.contains("int8 calibration").any()


def test_the_winning_recipe_opens_in_the_form(ended):
    _, run, found = ended
    app = opened("search", run=run)
    app.button(key="take_recipe").click().run()
    winner = found["final"]["winner"]["recipe"]
    draft = recipe_of(app)
    assert (draft["student"], draft["compress"], draft["seeds"]) == (winner["student"], winner["compress"], [0, 1])


def test_more_candidates_may_be_asked_for(ended):
    workspace, run, _ = ended
    app = opened("search", run=run)
    app.button(key="search_on").click().run()
    assert shapes.meta(workspace.run(run))["turn"] == 2


def test_runs_leads_to_the_search(ended):
    app = opened("runs")
    app.button(key="see").click().run()
    assert app.title[0].value == "Search"


def test_limits_are_asked_for_beside_the_recipe_and_refused_at_their_fields(empty, monkeypatch):
    asked = []

    def refuse(workspace, search):
        asked.append(search)
        raise RecipeError([Problem("at_most.size_bytes", "no candidate can be so small")])

    monkeypatch.setattr(api, "search", refuse)
    app = opened("new")
    app.expander(key="search_open")
    app.session_state["search_open"] = True
    app.run()
    app.number_input(key="search_size_bytes").set_value(1.5)
    app.number_input(key="search_latency_ms").set_value(2.0)
    app.button(key="search_start").click().run()
    assert asked[0].limits == {"size_bytes": 1500, "latency_ms": 2.0, "lost": 1.0}
    assert "Size" in said(app)
    assert "so small" in said(app)


def test_a_search_without_any_limit_says_what_is_missing(empty):
    app = opened("new")
    app.session_state["search_open"] = True
    app.run()
    app.button(key="search_start").click().run()
    assert "give a limit" in said(app)
    assert not empty.run_ids()
