"""Every page as a browser draws it: light and dark, wide and on a phone."""

from __future__ import annotations

import shutil

import pytest

from benchmarks.dashboard import PAGES
from tests.browser.conftest import dashboard
from tests.small import full_workspace

pytestmark = pytest.mark.browser
PATHS = (
    "lessons", "new", "runs", "search", "compare", "soft_targets", "try_it", "trust", "layers", "reference", "system",
)  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_every_page_is_reached_by_the_navigation(tab, full, scheme):
    visitor = tab(full, color_scheme=scheme).open()
    for link, title in reversed(PAGES.items()):  # Home, where it is already, comes last
        visitor.go(link)
        visitor.page.get_by_role("heading", name=title, level=1).wait_for()
        assert overflow(visitor.drawn().page) <= 0, link
        visitor.check()
    background = visitor.page.evaluate(
        "getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor"
    )
    assert background == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 28)"}[scheme]


@pytest.mark.slow
def test_no_page_scrolls_sideways_on_a_phone(tab, full):
    visitor = tab(full, viewport={"width": 390, "height": 1600})
    for path in ("", *PATHS):
        visitor.open(path)
        assert overflow(visitor.drawn().page) <= 0, path or "home"
        visitor.check()


def overflow(page):
    """Pixels by which the page is wider than the window."""
    return page.evaluate(
        "(() => { const main = document.querySelector('[data-testid=stMain]');"
        " return main.scrollWidth - main.clientWidth })()"
    )


@pytest.mark.slow
def test_a_deep_link_is_whole_right_after_the_start(tab, tmp_path):
    """Streamlit shows the files of a folder named pages/ beside the script when it is asked for one of them first."""
    home = tmp_path / "workspace"
    shutil.copytree(full_workspace(), home, ignore=shutil.ignore_patterns("index.sqlite*"))
    with dashboard(home) as address:
        visitor = tab(address).open("layers?variant=teacher")
        assert visitor.page.get_by_test_id("stTopNavLink").count() == len(PAGES)
        visitor.page.get_by_text("A: variant").wait_for()
        visitor.check()
