"""What every test relies on: a workspace of its own, and one thread, so that tests beside each other do not collide."""

from __future__ import annotations

import os
import shutil
import tempfile

import pytest
from hypothesis import settings

os.environ["OMP_NUM_THREADS"] = "1"
# A shared machine is slow at times; and what passes here must pass everywhere, so the examples are the same each time.
# To look for new ones: HYPOTHESIS_SEARCH=1.
settings.register_profile("patient", deadline=None, derandomize="HYPOTHESIS_SEARCH" not in os.environ)
settings.load_profile("patient")


def pytest_configure(config):
    if not hasattr(config, "workerinput"):  # xdist's workers inherit it
        os.environ["KDCORE_HOME"] = config.kdcore_home = tempfile.mkdtemp(prefix="kdcore-tests-")
        os.environ.pop("KDCORE_DATA", None)


def pytest_collection_modifyitems(items):
    """The longest file first: at the end, two processes would share it, and each make its fixtures."""
    items.sort(key=lambda item: not item.path.match("tests/jobs/test_runs.py"))


def pytest_unconfigure(config):
    if hasattr(config, "kdcore_home"):
        shutil.rmtree(config.kdcore_home, ignore_errors=True)


@pytest.fixture(scope="session")
def chromium():
    """Headless Chromium, one a process, as Playwright refuses a second. Tests that need it are skipped without it."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium on this machine (Debian: apt install chromium)")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path)
        yield browser
        browser.close()
