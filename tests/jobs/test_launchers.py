"""Launchers: what the dispatcher does with jobs of another system, and how Slurm is spoken to."""

from __future__ import annotations

import os
import time

import pytest

from kdcore import machine
from kdcore.cli import main
from kdcore.jobs import api, at_work, conditions, dispatcher, launcher
from kdcore.jobs.launcher import Launcher, Refused, Unreachable
from kdcore.jobs.launchers import slurm
from kdcore.workspace import settings
from kdcore.workspace.events import EventLog
from kdcore.workspace.index import Index
from kdcore.workspace.state import state
from tests.small import small

NOTHING = dict.fromkeys(("loss", "accuracy", "val_loss", "val_accuracy"))


class Job:
    """A job of a system that does what the test says."""

    conditions: dict[str, str] = {}

    def __init__(self, number: str):
        self.number = number
        self.about = {"launcher": "slurm", "job": number, "host": "login"}

    def condition(self):
        return self.conditions[self.number]

    def lives(self):
        return self.condition() in ("RUNNING", "PENDING (Resources)")

    def failed(self):
        return not self.lives()

    def end(self):
        self.conditions[self.number] = "CANCELLED"


class System(Launcher):
    slots, workers = 64, 2

    def launch(self, workspace, command, run_id, slot):
        if self.problem:
            raise self.problem
        number = str(len(Job.conditions) + 1)
        Job.conditions[number] = "PENDING (Resources)"
        self.launched.append((command, run_id))
        return Job(number)


@pytest.fixture
def system(monkeypatch):
    System.launched, System.problem = [], None
    monkeypatch.setattr(Job, "conditions", {})
    monkeypatch.setattr(launcher, "chosen", lambda workspace: System(None))
    monkeypatch.setattr(slurm.Slurm, "find", lambda self, about: Job(about["job"]))
    monkeypatch.setattr(at_work, "PATIENCE_SECONDS", -1.0)
    monkeypatch.setattr(dispatcher.webhook, "tell", lambda *_: None)
    return System


def turn(serving):
    serving._look()
    serving._fill(serving._waiting())


def row(workspace, run_id):
    index = Index(workspace)
    index.sync()
    return index.run(run_id)


def test_a_job_that_waits_elsewhere_is_queued_and_found_again(workspace, system):
    run_id = api.submit(workspace, small())
    serving = dispatcher._Dispatcher(workspace, None)
    for _ in range(2):
        turn(serving)
    assert (row(workspace, run_id).state, row(workspace, run_id).job) == ("queued", "Slurm job 1 PENDING (Resources)")
    another = dispatcher._Dispatcher(workspace, None)
    turn(another)
    assert system.launched.count(("worker", run_id)) == 1
    api.request(workspace, run_id, "cancel")
    another._look()
    assert Job.conditions["1"] == "CANCELLED"
    assert state(workspace.run(run_id)) == "cancelled"


def test_a_run_has_as_many_jobs_as_its_launcher_allows_and_none_outlives_it(workspace, system):
    run_id = api.submit(workspace, small("seeds=[0,1,2]"))
    serving = dispatcher._Dispatcher(workspace, None)
    for _ in range(4):
        turn(serving)
    assert system.launched == [("worker", run_id), ("build", run_id)]
    Job.conditions["1"] = "COMPLETED"
    serving._look()
    assert Job.conditions["2"] == "CANCELLED"


def test_only_attempts_without_an_epoch_count(workspace, system):
    run_id = api.submit(workspace, small())
    folder = workspace.run(run_id)
    serving = dispatcher._Dispatcher(workspace, 1)
    log = EventLog(folder / "events.jsonl")
    for number in range(1, 5):
        turn(serving)
        log(
            "epoch", stage="0" * 64, epoch=number, step=number, loss=1.0, accuracy=0.5, val_loss=None, val_accuracy=None
        )
        Job.conditions[str(number)] = "TIMEOUT"
    for number in range(5, 9):
        turn(serving)
        assert (state(folder) == "failed") == (number == 8)
        Job.conditions[str(number)] = "OUT_OF_MEMORY"
    assert len(system.launched) == 7
    assert "Slurm job 7: OUT_OF_MEMORY" in row(workspace, run_id).error


def test_a_job_cancelled_from_outside_is_not_started_again(workspace, system):
    run_id = api.submit(workspace, small())
    serving = dispatcher._Dispatcher(workspace, 1)
    turn(serving)
    Job("1").end()
    turn(serving)
    assert len(system.launched) == 1
    assert "cancelled from outside" in row(workspace, run_id).error


def test_a_refused_job_fails_its_run_and_a_silent_system_does_not(workspace, system):
    run_id = api.submit(workspace, small())
    serving = dispatcher._Dispatcher(workspace, 1)
    system.problem = Unreachable("no answer")
    turn(serving)
    assert state(workspace.run(run_id)) == "queued"
    assert serving.pause_until > time.monotonic()
    system.problem = Refused("invalid partition")
    turn(serving)
    assert "invalid partition" in row(workspace, run_id).error


def test_the_launcher_of_the_command_line_is_checked(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("KDCORE_HOME", str(tmp_path))
    seen = []
    monkeypatch.setattr(dispatcher, "dispatch", lambda *arguments: seen.append(arguments[-1]) or 0)
    assert main.main(["dispatch", "--launcher", "slurm", "partition=big", "gpus=2"]) == 0
    assert (seen[0].partition, seen[0].gpus) == ("big", 2)
    for wrong in (["nowhere"], ["slurm", "gpus"], ["slurm", "gpus=-1"], ["slurm", "extra='"]):
        assert main.main(["dispatch", "--launcher", *wrong]) == 2
        assert "--launcher" in capsys.readouterr().err


def test_settings_keep_the_launcher_and_what_else_they_have(workspace):
    settings.write(workspace, slots=3)
    settings.write(workspace, launcher={"launcher": "slurm", "partition": "big"})
    known = settings.read(workspace)
    assert (known.slots, known.launcher.partition) == (3, "big")
    assert isinstance(launcher.chosen(workspace), slurm.Slurm)


def test_a_job_has_the_cores_that_it_asked_for(monkeypatch):
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "1")
    assert machine.cores() == 1
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "100000")
    assert machine.cores() == len(os.sched_getaffinity(0))


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """Slurm's commands, that note what they were given; `squeue` shows the file of that name."""
    pytest.importorskip("submitit", reason="submitit is not installed (pip install 'kdcore[slurm]')")
    folder = tmp_path / "bin"
    folder.mkdir()
    scripts = {
        "sbatch": f"cp $1 {folder}/script; if test -e {folder}/refuse; then echo no such partition >&2; exit 1; fi\n"
        "echo Submitted batch job 7",
        "scancel": f'echo "$@" >> {folder}/cancelled',
        "squeue": f"cat {folder}/jobs",
        "srun": "",
        "scontrol": "",
    }
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    (folder / "jobs").write_text("")
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    monkeypatch.setattr(slurm, "queue", conditions.Conditions(slurm._states, slurm.GONE))
    monkeypatch.setattr(conditions, "LOOK_SECONDS", 0.0)
    return folder


def launched(workspace, *changes, **options):
    run_id = api.submit(workspace, small(*changes))
    known = slurm.Slurm(slurm.SlurmOptions(**options))
    return known.launch(workspace, "worker", run_id, (0,))


def test_a_job_asks_for_the_gpus_that_its_training_needs_together(workspace, commands):
    settings.write(workspace, launcher={"launcher": "slurm", "gpus": 1})
    launched(workspace, "train.devices=4", gpus=1)
    assert "#SBATCH --gpus-per-node=4\n" in (commands / "script").read_text()


def test_what_is_asked_of_slurm(workspace, commands):
    job = launched(
        workspace,
        partition="big",
        gpus=2,
        cpus=6,
        memory_gb=1.5,
        minutes=90,
        extra="account=lab --exclusive 'comment=a b'",
    )
    script = (commands / "script").read_text()
    for said in ("partition=big", "gpus-per-node=2", "cpus-per-task=6", "time=90", "account=lab", "comment='a b'"):
        assert f"#SBATCH --{said}\n" in script
    assert "#SBATCH --mem=1536MB\n" in script
    assert "#SBATCH --exclusive\n" in script
    assert f"export KDCORE_HOME={workspace.root}\n" in script
    job.end()
    assert (commands / "cancelled").read_text() == "7\n"


def test_states_come_from_squeue(workspace, commands):
    job = launched(workspace)
    seen = {}
    for line in ("7|PENDING|Resources", "7|RUNNING|None", "7|COMPLETED|None", "7|NODE_FAIL|None", "8|RUNNING|None"):
        (commands / "jobs").write_text(f"{line}\n")
        seen[job.condition()] = job.lives()
    assert seen == {
        "PENDING (Resources)": True, "RUNNING": True, "COMPLETED": False, "NODE_FAIL": False, slurm.GONE: False,
    }  # fmt: skip
    (commands / "squeue").write_text("#!/bin/sh\nexit 1\n")
    (commands / "jobs").write_text("")
    assert not job.lives(), "what was known stays while Slurm does not answer"


def test_a_refusal_of_slurm_is_not_its_silence(workspace, commands):
    (commands / "refuse").touch()
    with pytest.raises(Refused, match="no such partition"):
        launched(workspace)
    (commands / "scontrol").write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(Unreachable):
        launched(workspace)
