"""A whole search: what it leaves, that a kill costs nothing, and that test images are looked at once, at the end."""

import json
import os
import shutil

import numpy as np
import optuna
import pytest

from kdcore.data.dataset import load
from kdcore.files import Damaged, lock, read_json, write_json
from kdcore.jobs import api
from kdcore.problems import RecipeError
from kdcore.recipe import parse as parse_recipe
from kdcore.search import beside, candidates, final, smallest, task
from kdcore.search.judging import counted
from kdcore.search.request import parse
from kdcore.search.sketch import Sketches
from kdcore.takeaway.run import run_zip
from kdcore.workspace import gc, shapes
from kdcore.workspace.integrity import DONE, inventory
from kdcore.workspace.state import HEARTBEAT
from kdcore.workspace.workspace import Workspace
from tests.search.conftest import STEPS, carry_out, document
from tests.small import small


def trained(found):
    return [trial for trial in found["trials"] if trial["state"] == "trained"]


def test_a_search_leaves_trials_a_winner_and_its_control(searched):
    workspace, run, found = searched
    assert len(trained(found)) == found["target"] == 3
    winner, control = found["final"]["winner"], found["final"]["control"]
    assert winner["size_bytes"] <= 6000
    assert control["size_bytes"] <= winner["size_bytes"]
    assert winner["accuracy"] == max(trial["accuracy"] for trial in trained(found) if trial["size_bytes"] <= 6000)
    assert winner["size_bytes"] == (workspace.model(winner["key"]) / "model.onnx").stat().st_size
    assert found["final"]["looks"] == 1
    assert parse_recipe(winner["recipe"]).seeds == (0, 1)
    assert shapes.result(workspace.run(run))["summary"]["variant"] == winner["label"]


def test_a_sketch_weighs_what_the_trained_file_weighs(searched, tmp_path):
    """Parameters and MACs are exact before training, and sizes too, but for some bytes of an int8 file's scales."""
    _, _, found = searched
    sketches = Sketches(parse(document()).recipe, tmp_path)
    for trial in trained(found):
        weight = sketches.weight(parse_recipe(trial["recipe"]))
        assert (weight.macs, weight.params) == (trial["macs"], trial["params"])
        assert weight.size_bytes == pytest.approx(trial["size_bytes"], rel=0 if trial["role"] != "quantized" else 0.02)


def test_what_is_known_to_be_too_large_is_not_trained(searched):
    _, _, found = searched
    beyond = [trial for trial in found["trials"] if trial["state"] == "beyond"]
    assert all("keys" in trial and not trial["keys"] and trial["size_bytes"] > 6000 for trial in beyond)


def test_the_clean_up_keeps_the_models_of_a_search(searched):
    workspace, _, found = searched
    gc.collect(workspace)
    assert all(workspace.complete(key) for trial in trained(found) for key in trial["keys"])
    assert found["measured"]
    assert all(workspace.complete(key) for key in found["measured"])


def test_a_search_stays_where_it_was_made(searched):
    workspace, run, _ = searched
    with pytest.raises(RecipeError, match="export a run of its winning recipe"):
        run_zip(workspace, run)


def test_optunas_own_tools_open_the_journal(searched):
    workspace, run, found = searched
    trials = study(workspace.run(run)).trials
    complete = {one.number for one in trials if one.state == optuna.trial.TrialState.COMPLETE}
    assert complete >= {trial["number"] for trial in trained(found)}


def study(folder):
    """As optuna-dashboard opens it."""
    backend = optuna.storages.journal.JournalFileBackend(str(folder / "study.log"))
    return optuna.load_study(study_name="search", storage=optuna.storages.JournalStorage(backend))


@pytest.fixture(autouse=True)
def unweighed(monkeypatch):
    """The smallest candidates are weighed in a test of their own: the subprocess takes its time."""
    monkeypatch.setattr(smallest, "least", lambda workspace, search: {})


class Killed(BaseException):
    """As a kill: nothing in the worker catches it."""


@pytest.fixture
def begun(searched, tmp_path):
    """A workspace that has the models of the finished search, and a search of the same Recipe that has not begun."""
    workspace, run, _ = searched
    shutil.copytree(workspace.root, tmp_path / "w")
    copied = Workspace(tmp_path / "w")
    copied.discard(run)
    return copied, api.search(copied, parse(document()))


def test_a_killed_search_loses_no_trial_and_does_none_twice(begun, searched, monkeypatch):
    workspace, run = begun
    folder = workspace.run(run)
    told = json.loads((folder / "recipe.json").read_text())
    build, built = candidates.Candidates.build, []

    def until_the_second(self, recipe):
        if len(built) == 3:  # the student whose layers are measured, and two candidates
            raise Killed
        built.append(recipe)
        return build(self, recipe)

    with monkeypatch.context() as patch:
        patch.setattr(candidates.Candidates, "build", until_the_second)
        with pytest.raises(Killed):
            task.Searching(workspace, folder, told, lambda: None).carry_out()
    (folder / "study.log").open("a").write('{"op_code": 5, "tri')  # a line that the kill has torn
    before = shapes.search(folder)
    (interrupted,) = study(folder).get_trials(states=(optuna.trial.TrialState.RUNNING,))
    carry_out(workspace, run)
    after = shapes.search(folder)
    assert trained(after)[:2] == trained(before)
    assert len(trained(before)) == 2
    assert len(trained(after)) == 3
    recipes = [json.dumps(trial["recipe"], sort_keys=True) for trial in after["trials"]]
    assert len(set(recipes)) == len(recipes)
    numbers = [trial["number"] for trial in trained(after)]
    assert len(set(numbers)) == 3
    settings = [trial["settings"] for trial in trained(searched[2])]
    assert settings[:2] == [trial["settings"] for trial in trained(after)[:2]]
    assert numbers[2] == interrupted.number, "the killed one goes on"


def test_the_test_images_decide_nothing(searched, tmp_path, monkeypatch):
    """A search does not read what is known of the test images before it has ended, and reads it for few models then."""
    workspace, run, found = searched
    looked = []
    tested = final._tested
    monkeypatch.setattr(final, "_tested", lambda found, key: looked.append(key) or tested(found, key))
    for folder in workspace.models.iterdir():
        report = read_json(folder / "report.json")
        assert report["quality"]["n"] == len(load(parse(document()).recipe.data.source).test_labels)
    copied = Workspace(shutil.copytree(workspace.root, tmp_path / "w"))
    spoil(copied)
    copied.discard(run)
    again = api.search(copied, parse(document()))
    carry_out(copied, again)
    other = shapes.search(copied.run(again))
    assert [trial["settings"] for trial in other["trials"]] == [trial["settings"] for trial in found["trials"]]
    assert other["final"]["winner"]["settings"] == found["final"]["winner"]["settings"]
    assert len(looked) == 3, "winner, control and reference"
    assert "test_accuracy" not in json.dumps(other["trials"])


def spoil(workspace):
    """The answers for the test images become nonsense, in files that say that they are whole."""
    for folder in workspace.models.iterdir():
        with np.load(folder / "logits.npz") as arrays:
            kept = {name: arrays[name] for name in arrays.files}
        kept["test"] = -kept["test"]
        with (folder / "logits.npz").open("wb") as file:
            np.savez(file, **kept)
        done = json.loads((folder / DONE).read_text())
        (folder / DONE).write_text(json.dumps(done | {"files": inventory(folder)}))


def test_a_search_that_has_ended_goes_on_with_more_trials(searched, tmp_path):
    made, run, _ = searched
    workspace = Workspace(shutil.copytree(made.root, tmp_path / "w"))
    api.request(workspace, run, "run")
    carry_out(workspace, run)
    found = shapes.search(workspace.run(run))
    assert len(trained(found)) == 6
    assert found["final"]["looks"] == 2


@pytest.mark.slow
def test_two_workers_share_a_study(begun):
    workspace, run = begun
    folder = workspace.run(run)
    told = json.loads((folder / "recipe.json").read_text())
    write_json(folder / HEARTBEAT, {"process": os.getpid(), "started": 1.0})
    with lock(folder / "lock"):
        worker = task.Searching(workspace, folder, told, lambda: None)
        first = worker.begin()
        first.one()
        beside.join(workspace, folder, told)  # does all that is left
        gc.collect(workspace)  # before the worker has heard of it
        worker.carry_out()
    found = shapes.search(folder)
    assert len(trained(found)) == found["target"] == 3
    assert all(workspace.complete(key) for trial in trained(found) for key in trial["keys"])
    recipes = [json.dumps(trial["recipe"], sort_keys=True) for trial in found["trials"]]
    assert len(set(recipes)) == len(recipes)


def test_a_worker_beside_leaves_with_the_searchs_own(begun):
    workspace, run = begun
    folder = workspace.run(run)
    write_json(folder / HEARTBEAT, {"process": os.getpid(), "started": 1.0})  # of one that was killed
    beside.join(workspace, folder, json.loads((folder / "recipe.json").read_text()))
    assert not (folder / "study.log").exists()


def test_a_damaged_search_json_is_reported_and_made_again(searched, tmp_path):
    made, run, found = searched
    workspace = Workspace(shutil.copytree(made.root, tmp_path / "w"))
    folder = workspace.run(run)
    (folder / "search.json").write_text('{"schema": 1, "trials": [{"number": -1}]}')
    with pytest.raises(Damaged, match=r"search\.json"):
        shapes.search(folder)
    told = json.loads((folder / "recipe.json").read_text())
    task.Searching(workspace, folder, told, lambda: None).begin()
    assert shapes.search(folder)["trials"] == found["trials"]


def test_with_a_part_of_the_effort_the_finalists_are_trained_in_full(begun):
    workspace, _ = begun
    run = api.search(workspace, parse(document(effort=0.5, trials=1)))
    carry_out(workspace, run)
    found = shapes.search(workspace.run(run))
    [trial], winner = trained(found), found["final"]["winner"]
    steps = [read_json(workspace.model(one["keys"][1]) / "report.json")["train"]["steps"] for one in (trial, winner)]
    assert steps == [5, 10]
    assert trial["settings"] == winner["settings"]


def test_a_limit_that_nothing_meets_ends_with_the_nearest(begun):
    workspace, _ = begun
    run = api.search(workspace, parse(document(lose_at_most=0, trials=2)))
    carry_out(workspace, run)
    end = shapes.search(workspace.run(run))["final"]
    assert end["winner"] is None
    assert end["nearest"]["lost"] > 0
    assert "points over the limit of 0 points" in end["words"]


def test_successive_halving_stops_those_that_are_behind_and_survives_a_kill(begun, monkeypatch):
    workspace, _ = begun
    run = api.search(workspace, parse(document(halving=True, trials=3)))
    folder = workspace.run(run)
    falling = iter(range(100, 0, -1))
    monkeypatch.setattr(candidates.Candidates, "_accuracy", lambda *_: next(falling) / 100)
    asked = json.loads((folder / "recipe.json").read_text())
    build, built = candidates.Candidates.build, []

    def until_the_first_has_gone_on(self, recipe):
        if len(built) == 2:  # the student whose layers are measured, and the first rung of the first candidate
            raise Killed
        built.append(build(self, recipe))
        return built[-1]

    with monkeypatch.context() as patch:
        patch.setattr(candidates.Candidates, "build", until_the_first_has_gone_on)
        with pytest.raises(Killed):
            task.Searching(workspace, folder, asked, lambda: None).carry_out()
    made = {path: path.stat().st_mtime_ns for path in workspace.models.glob(f"*/{DONE}")}
    monkeypatch.setattr(final.uniform, "chains", lambda *_: [])  # no control: this test is not about the end
    carry_out(workspace, run)
    found = shapes.search(folder)
    first, *others = [trial for trial in found["trials"] if trial["state"] in ("trained", "stopped")]
    assert [first["state"], *(trial["state"] for trial in others)] == ["trained", "stopped", "stopped"]
    assert all("after 1/9 of the training steps" in trial["why"] for trial in others)
    steps = [
        read_json(workspace.model(trial["keys"][1]) / "report.json")["train"]["steps"] for trial in (first, *others)
    ]
    assert steps == [10, 1, 1]
    assert found["final"]["winner"]["key"] == first["key"]
    assert counted(found).startswith("1 candidate trained, 2 stopped early")
    assert all(path.stat().st_mtime_ns == changed for path, changed in made.items()), "none was built twice"


def test_groups_of_layers_come_from_the_student_of_the_recipe(searched):
    """Its sensitivity is measured once, and stays beside its model."""
    workspace, _, found = searched
    kept = list(workspace.models.glob("*/sensitivity-*.json"))
    kinds = ["filters", "quantize", "rank"]
    assert sorted(path.name for path in kept) == [f"sensitivity-{kind}.json" for kind in kinds]
    assert {path.parent.name for path in kept} == {found["measured"][-1]}
    width = small(*STEPS).student.model.width
    assert read_json(workspace.model(found["measured"][-1]) / "report.json")["train"]["steps"] == 10
    assert {row["filters"] for path in kept for row in read_json(path)["rows"]} >= {width, 2 * width}
