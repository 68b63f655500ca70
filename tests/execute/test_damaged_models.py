"""Models whose files are damaged after they were finished: noticed, moved to the trash and made again as they were."""

from __future__ import annotations

import hashlib
import json
import os
import shutil

import pytest

from kdcore.execute.run import Execution
from kdcore.execute.sound import DamagedTeacher
from kdcore.jobs import api
from kdcore.problems import RecipeError
from kdcore.report import comparison
from kdcore.workspace.events import history, read
from tests.damage.corpus import JSON_DAMAGES, MODEL_DAMAGES
from tests.execute.conftest import Laboratory

FILES = ("model.onnx", "model.safetensors", "logits.npz", "report.json", "architecture.json", "history.jsonl")
DAMAGES = MODEL_DAMAGES | JSON_DAMAGES
CASES = [
    (name, damage)
    for name in (*FILES, "done.json")
    for damage in (DAMAGES if name.endswith(".json") else MODEL_DAMAGES)
]
SMALL = ("teacher.train.steps=40", "train.steps=20")


@pytest.fixture(scope="module")
def finished(laboratory):
    return laboratory.run(*SMALL)


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def content(laboratory, run_id):
    return {
        (stage.key, name): digest(laboratory.workspace.model(stage.key) / name)
        for stage in laboratory.plan(run_id).stages
        for name in ("model.safetensors", "model.onnx")
    }


def told(laboratory, run_id):
    events = read(laboratory.workspace.run(run_id) / "events.jsonl").events
    return [(event["stage"], event["epoch"]) for event in events if event["type"] == "epoch"]


def first_stage(laboratory, run_id):
    """Carries out the run's first stage alone."""
    here = laboratory.workspace
    run = Execution(here, here.run(run_id), api.recipe(here, run_id), laboratory.plan(run_id), lambda: None)
    run._prepare()
    run._stages.build(run.plan.stages[:1])
    return run


def restored(laboratory, folder, copy):
    shutil.rmtree(folder)
    shutil.copytree(copy, folder)


@pytest.mark.parametrize(("name", "damage"), CASES)
def test_it_is_noticed_told_in_one_line_and_the_other_rows_stay(laboratory, finished, tmp_path, name, damage):
    folder, here = laboratory.model(finished, "student distilled"), laboratory.workspace
    shutil.copytree(folder, tmp_path / "copy")
    try:
        DAMAGES[damage](folder / name)
        reason = here.damage(folder.name, read=None)
        unfinished = (name, damage) == ("done.json", "gone")
        if name != "done.json":
            assert name in reason
        rows = comparison.rows(here, [finished])
        lines = comparison.damages(here, [finished])
        assert len(rows) + len(lines) + unfinished == 3, lines
        if name in ("logits.npz", "report.json"):
            assert [row["variant"] for row in rows] == ["teacher", "student alone"]
            assert "student distilled" in lines[0]
    finally:
        restored(laboratory, folder, tmp_path / "copy")


@pytest.mark.parametrize(
    ("name", "damage"), [("logits.npz", "cut to half"), ("model.onnx", "flipped bytes"), ("done.json", "empty")]
)
def test_the_next_run_that_needs_it_makes_it_again_as_it_was(laboratory, finished, name, damage):
    before, epochs = content(laboratory, finished), told(laboratory, finished)
    folder = laboratory.model(finished)
    MODEL_DAMAGES[damage](folder / name)
    again = laboratory.submit(*SMALL)
    run = laboratory.carry_out(again)
    assert [stage["reused"] for stage in run.stages] == [False, True, True]
    assert content(laboratory, finished) == before
    assert not comparison.damages(laboratory.workspace, [finished, again])
    assert list(laboratory.workspace.trash.glob(f"*{folder.name[:12]}*"))
    first_stage(laboratory, finished)
    assert told(laboratory, finished) == epochs, "an epoch was told twice"


def test_a_damaged_teacher_of_an_earlier_run_is_told_with_the_run_that_would_make_it_again(laboratory, finished):
    given = json.dumps({"teacher": "earlier", "model": finished})
    asks = laboratory.submit(*SMALL[1:], "seeds=[3]", f"teacher.source={given}")
    MODEL_DAMAGES["flipped bytes"](laboratory.model(finished) / "model.safetensors")
    with pytest.raises(DamagedTeacher, match=r"resume \d{6}-"):
        laboratory.carry_out(asks)
    with pytest.raises(RecipeError, match=r"resume \d{6}-"):
        laboratory.submit(*SMALL[1:], "seeds=[3]", f"teacher.source={given}")
    laboratory.carry_out(finished)
    laboratory.carry_out(asks)


def test_a_model_of_an_earlier_version_is_as_good_until_a_file_is_cut(laboratory, finished, tmp_path):
    folder, here = laboratory.model(finished), laboratory.workspace
    shutil.copytree(folder, tmp_path / "copy")
    try:
        done = json.loads((folder / "done.json").read_text())
        del done["files"]
        (folder / "done.json").write_text(json.dumps(done))
        assert here.complete(folder.name)
        assert here.damage(folder.name, read=None) is None
        for name in FILES[:-1]:
            kept = (folder / name).read_bytes()
            MODEL_DAMAGES["cut to half"](folder / name)
            assert name in here.damage(folder.name)
            assert not here.complete(folder.name)
            (folder / name).write_bytes(kept)
    finally:
        restored(laboratory, folder, tmp_path / "copy")


@pytest.mark.slow
def test_a_kill_at_any_rename_of_a_stage_leaves_the_same_model_and_tells_no_epoch_twice(
    laboratory, finished, tmp_path_factory, monkeypatch
):
    stage = laboratory.plan(finished).stages[0]
    reference = [value for (key, _), value in content(laboratory, finished).items() if key == stage.key]
    rename, killed = os.replace, 0
    while True:
        killed += 1
        torn = Laboratory(type(laboratory.workspace)(tmp_path_factory.mktemp("torn")).ensure())
        run_id = torn.submit(*SMALL)
        left = iter(range(killed))

        def replace(source, target, left=left, models=str(torn.workspace.models)):
            if str(target).startswith(models) and next(left, None) is None:
                raise KeyboardInterrupt
            rename(source, target)

        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", replace)
            try:
                first_stage(torn, run_id)
                break
            except KeyboardInterrupt:
                pass
        first_stage(torn, run_id)
        folder = torn.workspace.model(stage.key)
        assert [digest(folder / f"model.{end}") for end in ("safetensors", "onnx")] == reference
        epochs = told(torn, run_id)
        assert epochs == [(stage.key, row["epoch"]) for row in history(folder / "history.jsonl")]
        assert len(epochs) == len(set(epochs)) == 2
    assert killed > 8
