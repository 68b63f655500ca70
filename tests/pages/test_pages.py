"""Every page, with nothing to show and with something."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from kdcore.paths import CHECKOUT
from tests import patience
from tests.pages.conftest import opened, runs, said

PAGES = ("home", "new", "runs", "compare", "soft_targets", "try_it", "trust", "layers", "reference", "system")


@pytest.mark.parametrize("page", PAGES)
def test_an_empty_workspace(empty, page):
    app = opened(page)
    assert len(app.title) == 1
    assert not app.error


@pytest.mark.parametrize("page", ["runs", "compare", "soft_targets", "try_it", "trust", "layers"])
def test_an_empty_page_has_the_button_that_gets_on(empty, page):
    app = opened(page)
    assert "Here you will" in said(app)
    app.button(key="empty_home/page.py").click().run()
    assert "Quickstart" in said(app)


@pytest.mark.parametrize("page", PAGES)
def test_a_full_workspace(full, page):
    app = opened(page)
    assert len(app.title) == 1
    assert not app.error


@pytest.mark.parametrize("page", ["compare", "soft_targets", "try_it", "trust", "layers"])
def test_a_run_that_finishes_does_not_take_the_place_of_the_one_on_show(full, page):
    key = "runs" if page == "compare" else "run"
    newest, older = (row.id for row in runs(full))
    (full.runs / newest).rename(full.root / newest)
    app = opened(page)
    (full.root / newest).rename(full.runs / newest)
    app.run()
    assert app.session_state[key] in (older, [older])
    app.switch_page("home/page.py").run()
    app.switch_page(f"{page}/page.py").run()
    assert app.session_state[key] in (newest, [newest])


def test_the_dashboard_imports_no_torch(full):
    """In a fresh process, all pages over a full workspace."""
    program = f"""
import sys
from streamlit.testing.v1 import AppTest
app = AppTest.from_file({str(CHECKOUT / "pages" / "navigation.py")!r}, default_timeout={patience.SECONDS}).run()
for page in {PAGES!r}:
    app.switch_page(f"{{page}}/page.py").run()
    assert not app.exception, app.exception[0].message
assert "torch" not in sys.modules
"""
    environment = os.environ | {"KDCORE_HOME": str(full.root), "PYTHONPATH": str(CHECKOUT)}
    subprocess.run([sys.executable, "-c", program], env=environment, cwd=CHECKOUT, check=True, timeout=patience.SECONDS)
