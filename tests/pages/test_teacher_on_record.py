"""Every page in front of a run whose teacher is a file of soft labels, and of whom not even the accuracy is known."""

from __future__ import annotations

import json

import numpy as np
import pytest

from kdcore.data.dataset import load
from kdcore.distill import softlabels
from kdcore.jobs import api
from kdcore.jobs.follow import follow
from kdcore.workspace.workspace import Workspace
from tests.pages.conftest import opened, said
from tests.small import small

QUICK = (
    "seeds=[0]",
    "compress=[]",
    "controls=[]",
    "train.steps=10",
    "train.views.shift=0",
    "train.views.mixup=0",
    "measure.timing_seconds=0.3",
)


@pytest.fixture(scope="module")
def on_record(tmp_path_factory):
    workspace = Workspace(tmp_path_factory.mktemp("record")).ensure()
    recipe = small(*QUICK)
    digits = load(recipe.data.source)
    file = workspace.root / "soft.npz"
    softlabels.write(file, digits, np.eye(10)[digits.train_labels], None, "somebody")
    named = json.dumps({"teacher": "soft_labels", "path": str(file)})
    run_id = api.submit(workspace, small(*QUICK, f"teacher.source={named}"))
    *_, row = follow(workspace, run_id)
    api.stop_all(workspace)
    assert row.state == "done", row.error
    return workspace, run_id


@pytest.fixture
def run(on_record, monkeypatch):
    workspace, run_id = on_record
    monkeypatch.setenv("KDCORE_HOME", str(workspace.root))
    monkeypatch.setattr(api, "ensure_dispatcher", lambda workspace: None)
    return run_id


def test_compare_shows_what_is_known(run):
    app = opened("compare", runs=run)
    table = app.dataframe[0].value.set_index("variant")
    assert np.isnan(table.loc["teacher", ["accuracy", "size", "latency"]].astype(float)).all()
    assert table.loc["student distilled", "latency"] > 0
    words = said(app)
    assert "estimated from a duplicate (student alone)" in words
    assert "without size and speed" in words
    assert "The teacher was trained outside this run" in words


def test_layers_say_that_there_are_none_to_see(run):
    assert "its layers are unknown" in said(opened("layers", run=run, variant="teacher", variant_b="student alone"))


def test_soft_targets_show_the_students_alone(run):
    app = opened("soft_targets", run=run)
    assert "without test examples" in said(app)


@pytest.mark.parametrize("page", ["runs", "home", "system"])
def test_no_other_page_minds(run, page):
    opened(page, run=run)
