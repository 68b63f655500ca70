"""Runs that are not as they should be: the pages stay up and say so."""

from __future__ import annotations

import shutil
import time

import pytest

from kdcore.files import LOCKS_HOW, NoLocks, lock, read_json, write_json
from kdcore.jobs import api
from kdcore.workspace.state import HEARTBEAT, beat
from pages.shared import store
from tests.damage.corpus import INDEX_DAMAGES, MODEL_DAMAGES
from tests.pages.conftest import opened, runs, said
from tests.pages.test_pages import PAGES
from tests.small import small

LISTS = ("compare", "runs")
QUICK = (*LISTS, "soft_targets", "try_it")
MOST = [pytest.param(page, marks=[] if page in QUICK else [pytest.mark.slow]) for page in PAGES]


@pytest.mark.parametrize(
    ("file", "page"),
    [
        pytest.param(file, page, marks=[] if page in LISTS else [pytest.mark.slow])
        for file in ("meta.json", "plan.json", "recipe.json", "result.json")
        for page in PAGES
    ],
)
def test_a_damaged_file(full, file, page):
    (full.run(runs(full)[0].id) / file).write_text("{half of", "utf-8")
    opened(page)


@pytest.mark.parametrize("page", MOST)
@pytest.mark.parametrize("every", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_models_that_were_removed(full, page, every):
    for model in sorted(full.models.iterdir())[::every]:
        shutil.rmtree(model)
    opened(page)


@pytest.mark.parametrize("page", MOST)
def test_models_whose_files_are_damaged(full, page):
    files = ("logits.npz", "report.json", "model.onnx", "architecture.json", "done.json", "members.npz")
    models = sorted(full.models.iterdir())[::2]
    for place, model in enumerate(models):
        list(MODEL_DAMAGES.values())[place % len(MODEL_DAMAGES)](model / files[place % len(files)])
    app = opened(page)
    assert "is damaged" in said(app) or page != "compare"


def test_a_worker_that_does_not_respond_is_told_on_every_list(full):
    run_id = api.submit(full, small(), None)
    folder = full.run(run_id)
    (folder / HEARTBEAT).touch()
    status = {"turn": 1, "attempt": 1, "host": "elsewhere", "process": 1, "started": time.time()}
    write_json(folder / "status.json", status | {"silent": {"since": time.time(), "heartbeat": beat(folder)}})
    with lock(folder / "lock"):
        for page in ("home", "runs", "system"):
            assert "not responding since" in said(opened(page)), page


def test_a_failed_run_says_what_happened_and_how_to_go_on(full):
    run_id = api.submit(full, small(), None)
    meta = read_json(full.run(run_id) / "meta.json")
    result = {"state": "failed", "turn": meta["turn"], "error": "no space left on *this* disk", "stages": []}
    write_json(full.run(run_id) / "result.json", result)
    app = opened("runs", run=run_id)
    assert "no space left on *this* disk" in said(app)
    assert app.button(key="resume")


def test_a_timing_session_has_no_recipe_to_duplicate(full):
    run_id = api.bench(full, [row.id for row in runs(full)])
    app = opened("runs", run=run_id)
    assert "duplicate" not in [button.key for button in app.button]


@pytest.mark.parametrize("page", MOST)
def test_names_that_are_code(full, page):
    hostile = "**<img src=x onerror=alert(1)>** $1_0$ :material/home: [x](javascript:1)"
    for row in runs(full):
        api.rename(full, row.id, hostile)
    app = opened(page)
    assert hostile in said(app) or page not in ("home", "runs")


def test_what_a_page_keeps_is_read_anew_when_its_file_changes(full):
    """A cache that forgets to ask when the file was written shows yesterday's run."""
    path = full.root / "some.json"
    write_json(path, {"value": 1})
    assert store.document(path)["value"] == 1
    write_json(path, {"value": 12})
    assert store.document(path)["value"] == 12


def test_a_damaged_run_says_what_is_wrong_and_can_be_deleted(full):
    run_id = runs(full)[0].id
    (full.run(run_id) / "plan.json").write_text("[1]")
    app = opened("runs", run=run_id)
    assert "plan.json is invalid" in said(app)
    assert "resume" not in [button.key for button in app.button], "nobody can make a plan again"
    app.button(key=f"delete_{run_id}").click().run()
    assert run_id not in {row.id for row in runs(full)}


def test_what_the_machinery_tells_is_made_anew_by_resume(full):
    run_id = runs(full)[0].id
    (full.run(run_id) / "result.json").write_text("")
    app = opened("runs", run=run_id)
    assert "result.json is empty" in said(app)
    app.button(key="resume").click().run()
    assert not app.exception
    assert api.queue(full).runs == [run_id]


@pytest.mark.parametrize(("page", "name"), [("compare", "runs"), ("trust", "run")])
def test_a_damaged_run_that_was_chosen_is_left_out_with_a_word(full, page, name):
    run_id = runs(full)[0].id
    (full.run(run_id) / "meta.json").write_text('{"schema": 1, "name": null}')
    app = opened(page, **{name: run_id})
    assert f"{run_id} is damaged and left out" in said(app)


def test_a_damaged_index_is_mended_under_the_page(full):
    before = [row.id for row in runs(full)]
    INDEX_DAMAGES["random pages"](full.index)
    opened("home")
    assert [row.id for row in runs(full)] == before


def test_a_disk_without_locks_is_said_on_every_page_with_the_remedy(empty, monkeypatch):
    def refuse(folder):
        raise NoLocks(f"the file system of {folder} does not honour locks: {LOCKS_HOW}")

    monkeypatch.setattr(store, "require_locks", refuse)
    app = opened("reference")
    assert [one for one in app.error if "does not honour locks" in one.value and "NFS 4" in one.value]
