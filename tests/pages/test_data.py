"""The section Data: which sets are on this machine, getting one, and sending one's own pictures."""

from __future__ import annotations

import io
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest
from PIL import Image

from kdcore import registry
from kdcore.data import fetch
from kdcore.data.types import Progress
from pages.new import fetching
from tests import patience
from tests.pages.conftest import opened, said
from tests.pages.test_new import recipe_of


def pictures(readable=True):
    """A zip with two classes of ten small pictures."""
    random, packed = np.random.default_rng(0), io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in ("cat", "dog"):
            for number in range(10):
                picture = io.BytesIO()
                Image.fromarray(random.integers(0, 255, (8, 8, 3), np.uint8)).save(picture, "PNG")
                archive.writestr(f"{name}/{number}.png", picture.getvalue() if readable else b"no picture")
    return packed.getvalue()


def at_own_pictures():
    app = opened("new")
    app.selectbox(key="new.1.data.source.dataset").set_value("folder").run()
    assert not app.exception
    return app


def sent(app, name, content):
    app.file_uploader[-1].set_value((name, content, "application/zip")).run()
    assert not app.exception
    return app


def button(app, words):
    return next(one for one in app.button if words in one.label)


def until(app, words):
    """Waits for a process of its own to change what the page says."""
    deadline = time.monotonic() + patience.SECONDS
    while words not in said(app):
        assert time.monotonic() < deadline, said(app)
        time.sleep(0.3)
        app.run()
        assert not app.exception


def test_the_list_says_what_is_here_and_what_a_download_costs(empty):
    offered = "\n".join(opened("new").selectbox(key="new.1.data.source.dataset").options)
    assert "digits (here)" in offered
    assert "cifar10 (170 MB to download)" in offered


def test_what_is_not_here_is_told_with_its_size_and_cannot_be_started(empty):
    app = opened("new")
    app.selectbox(key="new.1.data.source.dataset").set_value("cifar10").run()
    assert not app.exception
    assert "not on this machine yet (170 MB)" in said(app)
    assert button(app, "Download (170 MB)")
    assert button(app, "Start").disabled


def test_own_pictures_are_sent_prepared_and_planned(empty):
    app = sent(at_own_pictures(), "Our pets.zip", pictures())
    path = recipe_of(app)["data"]["source"]["path"]
    assert path.startswith(str(empty.root / "uploads"))
    assert path.endswith("Our pets.zip")
    app.number_input(key="new.1.data.labels").set_value(4).run()
    button(app, "Prepare").click().run()
    until(app, "is on this machine")
    app.run()
    assert app.multiselect(key="new.1.data.hide_classes").options == ["cat", "dog"]


def test_what_is_no_zip_is_refused_where_it_was_sent(empty):
    app = sent(at_own_pictures(), "pets.zip", b"PK, or so")
    assert "is not a complete zip file" in said(app)
    assert recipe_of(app)["data"]["source"]["path"] == ""


def test_pictures_that_cannot_be_read_are_told_after_the_attempt(empty):
    app = sent(at_own_pictures(), "pets.zip", pictures(readable=False))
    button(app, "Prepare").click().run()
    until(app, "cat/0.png cannot be read")
    assert button(app, "Retry")


@pytest.fixture
def under_way(empty, monkeypatch):
    """CIFAR-10, as if a process were half through."""
    source = registry.validate("dataset", "cifar10")
    now = fetch.Status(
        "fetching", "CIFAR-10", 170_498_071, Progress("downloading a.tar", 85_000_000, 170_000_000, "bytes")
    )
    monkeypatch.setattr(fetch, "status", lambda source: now)
    return source


def test_a_fetch_shows_how_far_it_is_and_can_be_ended(under_way, monkeypatch):
    ended = []
    monkeypatch.setattr(fetching, "cancel", ended.append)
    app = opened("new")
    app.selectbox(key="new.1.data.source.dataset").set_value("cifar10").run()
    assert app.get("progress")[0].proto.text.replace("\\", "") == "Downloading a.tar: 85.0 MB of 170 MB"
    button(app, "Cancel").click().run()
    assert ended == [under_way]


def test_a_fetch_that_was_started_twice_is_one_and_its_end_frees_it(empty, monkeypatch):
    processes = []

    def slow(workspace, *arguments):
        processes.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]))
        return processes[-1]

    monkeypatch.setattr(fetching, "start_process", slow)
    source = registry.validate("dataset", "cifar10")
    assert fetching.status(source).state == "missing"
    fetching.start(source)
    fetching.start(source)
    assert len(processes) == 1
    assert fetching.status(source).state == "fetching"
    fetching.cancel(source)
    processes[0].wait(patience.SECONDS)
    assert fetching.status(source).state == "missing"
