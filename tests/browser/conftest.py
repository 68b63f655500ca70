"""A dashboard of its own, in headless Chromium."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager

import pytest

from kdcore.jobs import api
from kdcore.paths import CHECKOUT
from kdcore.workspace.workspace import Workspace
from tests import patience
from tests.pages.conftest import at_hand  # noqa: F401 (a fixture)
from tests.small import full_workspace

SETTLED = {"script": "notRunning", "title": True, "skeletons": 0}
STATE = """() => ({
    script: document.querySelector('[data-testid=stApp]')?.dataset.testScriptState,
    title: Boolean(document.querySelector('h1')),
    skeletons: document.querySelectorAll('[data-testid=stSkeleton]').length,
})"""


@contextmanager
def dashboard(home, serves=""):
    """The address of a dashboard that serves this workspace; it and its dispatcher are ended afterwards.

    `serves`: "class" as for `kdcore serve --class`.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless=true", f"--server.port={port}"]
    environment = os.environ | {"KDCORE_HOME": str(home), "KDCORE_SERVES": serves}
    process = subprocess.Popen(
        command, cwd=CHECKOUT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{port}"
    try:
        _until_it_answers(address)
        yield address
    finally:
        process.terminate()
        process.wait(patience.SECONDS)
        api.stop_all(Workspace(home))


def _until_it_answers(address):
    deadline = time.monotonic() + patience.SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=2):
                return
        except OSError:
            assert time.monotonic() < deadline, "the dashboard did not start"
            time.sleep(0.2)


@pytest.fixture(scope="module")
def full_home(tmp_path_factory, at_hand):  # noqa: F811
    """A copy of the full workspace."""
    home = tmp_path_factory.mktemp("browser") / "workspace"
    shutil.copytree(full_workspace(), home, ignore=shutil.ignore_patterns("index.sqlite*"))
    shutil.copytree(at_hand, home, dirs_exist_ok=True)
    return home


@pytest.fixture(scope="module")
def full(full_home):
    """A dashboard over it."""
    with dashboard(full_home) as address:
        yield address


class Tab:
    """A tab of the browser that remembers what went wrong in it."""

    def __init__(self, browser, address, **options):
        self.address = address
        self.context = browser.new_context(**({"viewport": {"width": 1280, "height": 2400}} | options))
        self.page = self.context.new_page()
        self.page.set_default_timeout(patience.MILLISECONDS)
        self.wrong, self.outside = [], []
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", self._asked)

    def _heard(self, message):
        # Streamlit looks for its own address below a deep link first and finds it one level up.
        probe = "/_stcore/" in message.location.get("url", "") and "404" in message.text
        if message.type == "error" and not probe:
            self.wrong.append(message.text)

    def _asked(self, request):
        if not request.url.startswith((self.address, "ws://127.0.0.1", "data:", "blob:")):
            self.outside.append(request.url)

    def open(self, path=""):
        self.page.goto(f"{self.address}/{path}")
        return self.settled()

    def settled(self):
        """Waits until the script has run and everything that it sends has been drawn."""
        deadline = time.monotonic() + patience.SECONDS
        while (state := self.page.evaluate(STATE)) != SETTLED:
            assert time.monotonic() < deadline, f"still {state}"
            self.page.wait_for_timeout(50)
        return self

    def drawn(self):
        """Waits for the charts, which are drawn after the script has ended; those of a closed tab when it is opened."""
        self.page.wait_for_function(
            """() => [...document.querySelectorAll('[class*="st-key-plot_"]')]
                .every(chart => chart.offsetParent === null || chart.querySelector('.main-svg'))"""
        )
        return self

    def at(self, pattern):
        """Waits until the address matches; `wait_for_url` also waits for a load, which a new query does not bring."""
        self.page.wait_for_function("pattern => new RegExp(pattern).test(location.href)", arg=pattern)

    def go(self, title):
        """Follows the navigation, as a person does."""
        self.page.get_by_test_id("stTopNavLink").filter(has_text=title).click()
        self.page.get_by_role("heading", level=1).wait_for()
        return self.settled()

    def send_pictures(self, name, content):
        """In the form: chooses one's own pictures, uploads this zip and has it prepared."""
        self.page.get_by_label("Dataset").click()
        self.page.get_by_role("option", name="Your own pictures: a folder").click()
        self.page.get_by_text("Upload a .zip with one folder").wait_for()
        self.page.locator("input[type=file]").set_input_files(
            {"name": name, "mimeType": "application/zip", "buffer": content}
        )
        self.page.get_by_role("button", name="Prepare").click()

    def check(self):
        """Nothing went wrong: no exception box, no console error, nothing asked of other hosts."""
        assert self.page.get_by_test_id("stException").count() == 0
        assert not self.wrong
        assert not self.outside


@pytest.fixture
def tab(chromium):
    """Opens tabs, and closes them afterwards."""
    opened = []

    def open_tab(address, **options):
        opened.append(Tab(chromium, address, **options))
        return opened[-1]

    yield open_tab
    for one in opened:
        one.context.close()
