"""The dashboard in front of an empty workspace, and of a full one that the real backend made, once per test session."""

from __future__ import annotations

import shutil

import pytest
from streamlit.testing.v1 import AppTest

from kdcore.jobs import api
from kdcore.lessons import lessons
from kdcore.paths import CHECKOUT
from kdcore.presets import presets
from kdcore.workspace.index import Index
from kdcore.workspace.workspace import Workspace
from pages.shared import draft, estimates
from tests import patience
from tests.small import full_workspace


@pytest.fixture(scope="session")
def made():
    return full_workspace()


@pytest.fixture
def full(made, at_hand, tmp_path, monkeypatch):
    """A copy of the full workspace, which a test may change. Its runs: Quickstart, then Unseen."""
    home = tmp_path / "workspace"
    shutil.copytree(made, home, ignore=shutil.ignore_patterns("index.sqlite*"))  # the index may be in use
    shutil.copytree(at_hand, home, dirs_exist_ok=True)
    monkeypatch.setenv("KDCORE_HOME", str(home))
    monkeypatch.setattr(api, "ensure_dispatcher", lambda workspace: None)
    return Workspace(home)


@pytest.fixture(scope="session")
def at_hand(tmp_path_factory):
    """The data sets and counted networks that Home and Lessons ask for, as a workspace has them after a first look.

    Without them every page that is opened would begin to make them, which takes ten seconds.
    """
    home = tmp_path_factory.mktemp("at_hand")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KDCORE_HOME", str(home))
        recipes = [one.recipe.to_json() for one in (*presets(), *lessons())]
        estimates.prepare(recipes, Workspace(home), paced=True)
    return home


@pytest.fixture
def empty(at_hand, tmp_path, monkeypatch):
    """A workspace with no runs in it."""
    home = tmp_path / "workspace"
    shutil.copytree(at_hand, home)
    monkeypatch.setenv("KDCORE_HOME", str(home))
    monkeypatch.setattr(api, "ensure_dispatcher", lambda workspace: None)
    return Workspace(home)


def runs(workspace):
    """All runs as they are now, the newest first."""
    index = Index(workspace)
    index.sync()
    return index.runs()


def opened(page, **query):
    """The dashboard at a page, as somebody would see it who follows a link.

    Home runs first: until `st.navigation` has run once, AppTest knows pages by their file names alone.
    """
    app = AppTest.from_file(str(CHECKOUT / "pages" / "navigation.py"), default_timeout=patience.SECONDS).run()
    for name, value in query.items():
        app.query_params[name] = value
    app.switch_page(f"{page}/page.py").run()
    assert not app.exception, app.exception[0].message
    return app


def asked(app, name):
    """The values of `?name=` in the URL."""
    values = app.query_params[name]
    return [values] if isinstance(values, str) else values


def key_of(app, path):
    """The key that the form's control at this path has now."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pages.shared.draft.st.session_state", app.session_state)
        return draft.key(path)


def said(app):
    """All words of the page, as they are read: without Markdown's backslashes, and with plain spaces."""
    kinds = ("title", "header", "subheader", "markdown", "caption", "error", "warning", "info", "success")
    found = "\n".join(str(element.value) for kind in kinds for element in app.get(kind))
    return found.replace("\\", "").replace("\u00a0", " ")


def charts(app):
    """The page's charts, which plotly.js draws."""
    return [one for one in app.get("bidi_component") if one.proto.component_name.endswith("kdcore_plot")]
