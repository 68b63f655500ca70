"""Every page on a run whose inputs are texts."""

from __future__ import annotations

import json
import shutil

import pytest

from kdcore.jobs import api
from kdcore.report import robustness
from kdcore.takeaway.importing import import_run
from kdcore.takeaway.run import write_run
from kdcore.workspace.workspace import Workspace
from pages.shared import store
from tests.pages.conftest import opened, runs, said
from tests.texts import text_workspace


@pytest.fixture(scope="session")
def made_of_texts():
    return text_workspace()


@pytest.fixture
def texts(made_of_texts, at_hand, tmp_path, monkeypatch):
    """A copy of a workspace with one run on texts, and the run's id."""
    home = tmp_path / "workspace"
    shutil.copytree(made_of_texts, home, ignore=shutil.ignore_patterns("index.sqlite*"))
    shutil.copytree(at_hand, home, dirs_exist_ok=True)
    monkeypatch.setenv("KDCORE_HOME", str(home))
    monkeypatch.setattr(api, "ensure_dispatcher", lambda workspace: None)
    return runs(Workspace(home))[0].id


def shown(texts):
    return store.pictures(store.plan(texts).dataset["fingerprint"])


def test_compare_has_a_row_for_every_variant_with_its_speed(texts):
    opened("compare", runs=texts)
    rows = {row["variant"]: row for row in store.rows([texts])}
    assert list(rows) == [
        "teacher", "student alone", "student on hard labels", "student distilled", "int8 dynamic, linear layers",
    ]  # fmt: skip
    assert all(row["accuracy"] > 1 / 3 and row["latency_ms"] and row["macs"] for row in rows.values())
    assert rows["int8 dynamic, linear layers"]["size_bytes"] < rows["student distilled"]["size_bytes"]


def test_soft_targets_show_the_texts_instead_of_pictures(texts):
    app = opened("soft_targets", run=texts, image="5")
    text = shown(texts).images.text(5)
    words = said(app)
    assert f"#### {text}" in words
    assert "Test text 5, labelled" in words
    (tiles,) = (one.proto for one in app.get("bidi_component") if "thumbnails" in one.proto.component_name)
    assert text in [tile["text"] for tile in json.loads(tiles.json)["tiles"]]


def test_layers_and_trust_show_the_run(texts):
    for part in ("overview", "noise", "layer", "graph"):
        opened("layers", run=texts, part=part)
    for part in ("calibration", "privacy", "fidelity"):
        opened("trust", run=texts, part=part)


def test_robustness_is_that_to_typos_and_its_samples_are_texts(texts):
    app = opened("trust", run=texts, part="robustness")
    found = robustness.measured(store.workspace(), texts)
    assert len(found) == 5
    assert list(found[0].scores) == ["replaced", "missing", "doubled", "swapped", "case"]
    assert "wrong, missing, doubled or swapped letters" in said(app)


def test_try_it_answers_a_typed_text_with_every_variant_and_a_typo_may_change_it(texts):
    app = opened("try_it", run=texts)
    app.text_input(key="typed").set_value("abcdabcd").run()
    assert not app.exception
    table = app.table[0].value
    assert set(table["Answer"].str.removeprefix(":orange-background[**").str.removesuffix("**]")) <= set(
        shown(texts).classes
    )
    assert len(table) == 5
    assert "#### abcdabcd" in said(app)
    sliders = {one.key: one for one in app.slider}
    name = next(key for key in sliders if "missing" in key)
    sliders[name].set_value(60.0).run()
    assert "#### abcdabcd" not in said(app)
    app.text_input(key="typed").set_value(" ").run()
    assert "Type a text" in said(app)


def test_runs_shows_it_and_the_form_takes_it_over(texts):
    app = opened("runs", run=texts)
    assert not app.exception
    app.button(key="duplicate").click().run()
    assert not app.exception


def test_the_whole_run_moves_to_another_workspace(texts, tmp_path):
    here, there = store.workspace(), Workspace(tmp_path / "there").ensure()
    with (tmp_path / "run.zip").open("wb") as file:
        write_run(here, texts, file)
    import_run(there, tmp_path / "run.zip")
    fingerprint = here.plan(texts).dataset["fingerprint"]
    names = {path.name for path in there.dataset(fingerprint).iterdir()}
    assert names == {path.name for path in here.dataset(fingerprint).iterdir()}
