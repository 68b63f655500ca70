"""Several processes train one network of a run: killed and resumed, stopped, refused."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import psutil
import pytest
import torch
from safetensors.torch import load_file

from kdcore.execute import crew
from kdcore.execute.builder import builder_of
from kdcore.execute.run import Stopped
from kdcore.execute.stages import Stages
from kdcore.jobs import api
from kdcore.paths import CHECKOUT
from kdcore.workspace import slots
from kdcore.workspace.events import history
from tests.jobs.conftest import until
from tests.patience import stretched

# Several epochs, by SGD, which unlike AdamW leaves differences by rounding as small as they are.
TEACHER = tuple(f"teacher.train.{one}" for one in ("steps=200", "batch_size=33", "optimizer=sgd", "learning_rate=0.02"))
TOGETHER = (*TEACHER, "teacher.train.devices=2")


def parts(of=None):
    """The processes that `of`, else this one, has started to train together."""
    return [one for one in psutil.Process(of).children(recursive=True) if crew.MODULE in " ".join(_command(one))]


def _command(process):
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def trained(laboratory, run_id, check=lambda: None):
    """The epochs in the events of the run's teacher, which is trained here."""
    plan, told = laboratory.plan(run_id), []
    builder = builder_of(laboratory.workspace, api.recipe(laboratory.workspace, run_id), plan)

    def emit(kind, **facts):
        told.extend([facts["epoch"]] if kind == "epoch" else [])

    Stages(laboratory.workspace, plan, builder, emit=emit, check=check).build(plan.stages[:1])
    return told


@pytest.mark.slow
def test_one_that_is_killed_is_named_and_what_was_kept_goes_on(laboratory):
    run_id, killed = laboratory.submit(*TOGETHER), []
    folder = laboratory.model(run_id)

    def kill_one():
        if not killed and (folder / "checkpoint" / "progress.json").exists():
            parts()[1].kill()
            killed.append(time.monotonic())

    with pytest.raises(crew.Failed, match=r"process \d of the 2.*SIGKILL"):
        trained(laboratory, run_id, kill_one)
    assert time.monotonic() - killed[0] < stretched(5)
    assert not parts()
    begun = len(history(folder / "history.jsonl"))
    told = trained(laboratory, run_id)
    assert told == [row["epoch"] for row in history(folder / "history.jsonl")] == list(range(1, len(told) + 1))
    assert 1 <= begun < len(told)
    alone = laboratory.submit(*TEACHER)
    trained(laboratory, alone)
    both = [load_file(laboratory.model(one) / "model.safetensors") for one in (alone, run_id)]
    for name, value in both[0].items():
        torch.testing.assert_close(both[1][name], value, rtol=1e-2, atol=1e-3)


def test_a_stop_ends_them_all(laboratory):
    def stop():
        if len(parts()) == 2:
            raise Stopped(keep=False)

    with pytest.raises(Stopped):
        trained(laboratory, laboratory.submit(*TOGETHER, "seeds=[7]"), stop)
    assert not parts()


def test_fewer_gpus_than_devices_are_refused_before_anything_starts(laboratory, monkeypatch):
    run_id = laboratory.submit(*TOGETHER, "seeds=[8]")
    monkeypatch.setattr(slots, "gpus", lambda: ("3",))
    monkeypatch.setattr(crew.machine, "gpus", lambda: ("A", "B"))
    stage = laboratory.plan(run_id).stages[0]
    work = crew.Work(laboratory.workspace, stage, None, {})
    with pytest.raises(ValueError, match="1 GPU"):
        crew.train(work, 2, laboratory.model(run_id), on_epoch=lambda row: None, check=lambda: None)


@pytest.mark.slow
def test_they_end_with_a_worker_that_is_killed(laboratory):
    run_id = laboratory.submit(*TOGETHER, "seeds=[9]", "teacher.train.steps=20000")
    environment = os.environ | {"KDCORE_HOME": str(laboratory.workspace.root)}
    worker = subprocess.Popen([sys.executable, "-m", "kdcore", "worker", run_id], cwd=CHECKOUT, env=environment)
    there = until(lambda: len(found := parts(worker.pid)) == 2 and found)
    until(lambda: history(laboratory.model(run_id) / "history.jsonl"))
    worker.kill()
    worker.wait()
    killed = time.monotonic()
    until(lambda: not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in there))
    assert time.monotonic() - killed < stretched(5)


@pytest.mark.slow
def test_a_training_that_diverges_says_so(laboratory):
    wild = ("teacher.train.learning_rate=10", "teacher.train.weight_decay=1", "teacher.train.schedule=constant")
    started = time.monotonic()
    with pytest.raises(crew.Failed, match=r"loss became NaN.*train\.learning_rate.*process \d of the 2"):
        trained(laboratory, laboratory.submit(*TOGETHER, *wild, "teacher.train.precision=fp32"))
    assert not parts()
    assert time.monotonic() - started < stretched(60)
