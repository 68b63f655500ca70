"""A small finished quickstart for quick tests, and whole lessons, really run, for slow ones."""

from __future__ import annotations

import os
import shutil
import time

import pytest

from kdcore import lessons, machine
from kdcore.jobs import api
from kdcore.jobs.follow import follow
from kdcore.lessons import progress
from kdcore.lessons.evidence import Evidence
from kdcore.workspace.workspace import Workspace
from tests import patience
from tests.small import full_workspace


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "workspace").ensure()


@pytest.fixture(scope="session")
def small():
    """What a small quickstart shows."""
    workspace = Workspace(full_workspace())
    return Evidence(workspace, workspace.run_ids()[0])


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """One workspace for all lessons. KDCORE_LESSONS=folder keeps it, so that a test can be tried again."""
    kept = os.environ.get("KDCORE_LESSONS")
    folder = kept or tmp_path_factory.mktemp("lessons")
    workspace = Workspace(folder).ensure()
    yield workspace
    if not kept:
        api.stop_all(workspace)
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def taught(home):
    """Runs a lesson as the page does, and says how long it took; two minutes on an idle machine are the most."""

    def run(name):
        lesson = lessons.find(name)
        load, start = os.getloadavg()[0], time.monotonic()
        *_, row = follow(home, progress.start(home, lesson))
        took = time.monotonic() - start
        assert row.state == "done", row.error
        found = Evidence(home, row.id)
        answer = lesson.measure(found)
        print(f"\n{name}: {took:.0f} s, {machine.cores()} cores, load {load:.1f} before\n{answer}")
        assert took < patience.stretched(120)
        assert lesson.explain(found)
        assert lesson.figures(found)
        return lesson, found, answer

    return run
