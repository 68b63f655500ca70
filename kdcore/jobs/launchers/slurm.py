"""Workers as jobs of a Slurm cluster, through submitit. The workspace must lie on a disk that all its nodes share.

Slurm is asked with `squeue`, which works on clusters without accounting too, once for all jobs.
"""

from __future__ import annotations

import contextlib
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from kdcore.jobs.conditions import Conditions
from kdcore.jobs.launcher import CANCELLED, Command, Job, Launcher, Refused, Unreachable
from kdcore.jobs.probe import probe
from kdcore.jobs.process import surroundings
from kdcore.registry import Options, register
from kdcore.workspace import slots
from kdcore.workspace.settings import MOST_SLOTS
from kdcore.workspace.state import JOBS
from kdcore.workspace.workspace import Workspace

ANSWER_SECONDS = 15.0
MOST_TIMEOUTS = 1000  # times that a job goes on after its time limit
ENDED = {
    "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "REVOKED",
    "TIMEOUT",
}  # fmt: skip
GONE = "unknown to Slurm"


class SlurmOptions(Options):
    """What each job asks for."""

    partition: str = Field("", max_length=200, description="Partition of the cluster. Empty: its default.")
    gpus: int = Field(0, ge=0, le=64, description="GPUs of each job. More where a run trains on more devices.")
    cpus: int = Field(2, ge=1, le=512, description="Cores of each job; it trains on all but one of them.")
    memory_gb: float = Field(8, gt=0, le=4096, description="Memory of each job (GB).")
    minutes: int = Field(
        240, ge=2, le=60 * 24 * 30,
        description="Time limit of each job; a run that needs longer continues from its last checkpoint in the queue.",
    )  # fmt: skip
    workers: int = Field(
        1, ge=1, le=MOST_SLOTS,
        description="Most jobs per run: the first trains and measures, the others build stages in parallel.",
    )  # fmt: skip
    extra: str = Field(
        "", max_length=1000, description="Further options of sbatch, for example: account=lab qos=long exclusive"
    )

    @field_validator("extra")
    @classmethod
    def _can_be_split(cls, value: str) -> str:
        shlex.split(value)
        return value


class Task:
    """What a job does, once it is there: `python -m kdcore COMMAND RUN_ID`, in a process of its own.

    At the time limit submitit's signal comes to both; the process ignores it and works on, and submitit, which finds
    `checkpoint` here, puts the job back into the queue. The worker then continues from its own checkpoint.
    """

    def __init__(self, *arguments: str):
        self.arguments = arguments

    def __call__(self) -> int:
        import signal

        def work_on() -> None:
            signal.signal(signal.SIGUSR2, signal.SIG_IGN)

        command = [sys.executable, "-m", "kdcore", *self.arguments]
        subprocess.run(command, stdin=subprocess.DEVNULL, preexec_fn=work_on, check=True)
        return 0

    def checkpoint(self) -> Any:
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def _states() -> dict[str, str]:
    """The conditions of this person's jobs. Raises Unreachable."""
    answer = _ask(["squeue", "--me", "--states=all", "--noheader", "--format=%A|%T|%r"])
    found = [line.split("|") for line in answer.splitlines() if line.count("|") == 2]
    return {job.strip(): _in_words(state, reason) for job, state, reason in found}


def _in_words(state: str, reason: str) -> str:
    return state if reason in ("None", "") or state == "RUNNING" or state in ENDED else f"{state} ({reason})"


def _ask(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unreachable(f"Slurm does not answer: {command[0]}: {type(error).__name__}") from None
    if done.returncode:
        raise Unreachable(f"Slurm does not answer: {_last_line(done.stderr)}")
    return done.stdout


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no message"])[-1]


queue = Conditions(_states, GONE)


class SlurmJob:
    """A job by its number."""

    def __init__(self, job: str):
        self._job = job
        self.about: dict[str, Any] = {"launcher": "slurm", "job": job, "host": socket.gethostname()}

    def lives(self) -> bool:
        condition = queue.of(self._job)
        return condition != GONE and condition not in ENDED

    def condition(self) -> str:
        return queue.of(self._job)

    def failed(self) -> bool:
        return queue.of(self._job) in ENDED - {"COMPLETED", CANCELLED}

    def end(self) -> None:
        with contextlib.suppress(Unreachable):  # a worker hears of a cancel by itself too
            _ask(["scancel", self._job])


@register("launcher", "slurm", "Jobs of a Slurm cluster, submitted by submitit", options=SlurmOptions)
class Slurm(Launcher):
    """One job for each worker. How many run at a time is the cluster's concern."""

    slots = MOST_SLOTS
    options: SlurmOptions

    def __init__(self, options: SlurmOptions):
        super().__init__(options)
        self.workers = options.workers

    def launch(self, workspace: Workspace, command: Command, run_id: str, chosen: tuple[int, ...]) -> Job:
        task, devices = Task(command, run_id), slots.devices(workspace, run_id)
        made = self._submit(workspace.run(run_id) / JOBS, task, workspace, f"kdcore {run_id}", devices)
        return SlurmJob(made)

    def find(self, about: Mapping[str, Any]) -> Job:
        return SlurmJob(about["job"])

    def check(self, workspace: Workspace) -> str:
        def submit(task: Any) -> Job:
            return SlurmJob(self._submit(workspace.cache / JOBS, task, workspace, "kdcore doctor"))

        return probe(workspace, submit)

    def _submit(self, folder: Path, task: Any, workspace: Workspace, name: str, devices: int = 1) -> str:
        executor = self._executor(folder)
        executor.update_parameters(name=name, **self._parameters(workspace, devices))
        try:
            job = str(executor.submit(task).job_id)
        except Exception as error:  # submitit raises several of its own, and what subprocess raises
            _ask(["scontrol", "ping"])
            raise Refused(f"Slurm refused the job: {_last_line(str(error))}") from None
        queue.add(job)
        return job

    def _executor(self, folder: Path) -> Any:
        try:
            import submitit
        except ImportError:
            raise Refused("submitit is not installed: pip install 'kdcore[slurm]'") from None
        if not shutil.which("sbatch"):
            raise Refused("there is no sbatch here: start the dispatcher on a machine that can submit to the cluster")
        return submitit.AutoExecutor(folder, cluster="slurm", slurm_max_num_timeout=MOST_TIMEOUTS)

    def _parameters(self, workspace: Workspace, devices: int = 1) -> dict[str, Any]:
        """As submitit's executors take them. `devices`: on which a network is trained at once."""
        asked = self.options
        extra = dict(_option(one) for one in shlex.split(asked.extra))
        parameters = {
            "timeout_min": asked.minutes,
            "cpus_per_task": asked.cpus,
            "mem_gb": asked.memory_gb,
            "slurm_setup": [f"export {name}={shlex.quote(value)}" for name, value in surroundings(workspace).items()],
            "slurm_srun_args": [f"--cpus-per-task={asked.cpus}"],  # Slurm 22.05 and later do not pass it on
            "slurm_additional_parameters": {"requeue": True, **extra},
        }
        if asked.partition:
            parameters["slurm_partition"] = asked.partition
        if asked.gpus:
            parameters["gpus_per_node"] = max(asked.gpus, devices)
        return parameters


def _option(text: str) -> tuple[str, str | bool]:
    name, given, value = text.lstrip("-").partition("=")
    return name, value if given else True
