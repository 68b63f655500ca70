"""Workers as jobs of a Ray cluster, through its Job Submission API. The workspace must lie on a disk that all its nodes
share, and Ray must have been started there in this Python environment."""

from __future__ import annotations

import contextlib
import os
import secrets
import shlex
import socket
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import Field

from kdcore import machine
from kdcore.jobs.conditions import Conditions
from kdcore.jobs.launcher import CANCELLED, Command, Job, Launcher, Refused, Unreachable
from kdcore.jobs.probe import Look, probe
from kdcore.jobs.process import surroundings
from kdcore.registry import Options, register
from kdcore.workspace import slots
from kdcore.workspace.settings import MOST_SLOTS
from kdcore.workspace.state import JOBS
from kdcore.workspace.workspace import Workspace

ANSWER_SECONDS = 15.0
USUAL = "http://127.0.0.1:8265"
BY_ENVIRONMENT = "RAY_API_SERVER_ADDRESS"
GONE = "unknown to Ray"
STOPPED, FAILED = "STOPPED", "FAILED"
ENDED = {CANCELLED, FAILED, "SUCCEEDED"}


class RayOptions(Options):
    """What each job asks for."""

    address: str = Field(
        "", max_length=300, pattern=r"^(https?://[^\s]+)?$",
        description=f"Address of the cluster's API. Empty: {BY_ENVIRONMENT}, else {USUAL}.",
    )  # fmt: skip
    gpus: int = Field(0, ge=0, le=64, description="GPUs of each job. More where a run trains on more devices.")
    cpus: int = Field(2, ge=1, le=512, description="Cores of each job; it trains on all but one of them.")
    memory_gb: float = Field(0, ge=0, le=4096, description="Memory reserved for each job (GB). 0: none.")
    workers: int = Field(
        1, ge=1, le=MOST_SLOTS,
        description="Most jobs per run: the first trains and measures, the others build stages in parallel.",
    )  # fmt: skip


class RayJob:
    """A job by its submission id, on the cluster at this address."""

    def __init__(self, job: str, address: str):
        self._job, self._address = job, address
        self.about: dict[str, Any] = {"launcher": "ray", "job": job, "host": socket.gethostname(), "address": address}

    def lives(self) -> bool:
        condition = self.condition()
        return condition != GONE and condition not in ENDED

    def condition(self) -> str:
        return conditions(self._address).of(self._job)

    def failed(self) -> bool:
        return self.condition() == FAILED

    def end(self) -> None:
        with contextlib.suppress(Unreachable, Refused):  # a worker hears of a cancel by itself too
            _asked(self._address, lambda client: client.stop_job(self._job))


@register("launcher", "ray", "Jobs of a Ray cluster, submitted by its Jobs API", options=RayOptions)
class Ray(Launcher):
    """One job for each worker. How many run at a time is the cluster's concern."""

    slots = MOST_SLOTS
    options: RayOptions

    def __init__(self, options: RayOptions):
        super().__init__(options)
        self.workers = options.workers

    def launch(self, workspace: Workspace, command: Command, run_id: str, chosen: tuple[int, ...]) -> Job:
        folder, devices = workspace.run(run_id) / JOBS, slots.devices(workspace, run_id)
        return self._submit(workspace, folder, ["-m", "kdcore", command, run_id], run_id, devices)

    def find(self, about: Mapping[str, Any]) -> Job:
        return RayJob(about["job"], about.get("address") or self._address)

    def check(self, workspace: Workspace) -> str:
        def submit(look: Look) -> Job:
            return self._submit(workspace, workspace.cache / JOBS, look.arguments(), "doctor")

        return probe(workspace, submit)

    @property
    def _address(self) -> str:
        return self.options.address or os.environ.get(BY_ENVIRONMENT) or USUAL

    def _submit(self, workspace: Workspace, folder: Path, arguments: list[str], name: str, devices: int = 1) -> Job:
        """`devices`: on which a network is trained at once."""
        asked, made = self.options, f"kdcore-{name}-{secrets.token_hex(3)}"
        folder.mkdir(parents=True, exist_ok=True)
        log = shlex.quote(str(folder / f"{made}.log"))
        cores = {machine.CORES: str(asked.cpus)}
        _asked(
            self._address,
            lambda client: client.submit_job(
                entrypoint=f"exec {shlex.join([sys.executable, *arguments])} >> {log} 2>&1",
                submission_id=made,
                runtime_env={"env_vars": surroundings(workspace) | cores},
                entrypoint_num_cpus=asked.cpus,
                entrypoint_num_gpus=max(asked.gpus, devices) if asked.gpus else None,
                entrypoint_memory=int(asked.memory_gb * 2**30) or None,
            ),
        )
        conditions(self._address).add(made)
        return RayJob(made, self._address)


@cache
def conditions(address: str) -> Conditions:
    """Those of all jobs of one cluster."""

    def ask() -> dict[str, str]:
        try:
            found = _asked(address, lambda client: client.list_jobs())
        except Refused as refused:
            raise Unreachable(str(refused)) from None
        return {job.submission_id: CANCELLED if job.status == STOPPED else str(job.status) for job in found}

    return Conditions(ask, GONE)


def _asked(address: str, question: Callable[[Any], Any]) -> Any:
    """What the cluster answers. Raises Refused, Unreachable."""
    try:
        return question(_client(address))
    except Refused:
        raise
    except OSError as error:  # of requests, too
        raise Unreachable(f"Ray does not answer at {address}: {type(error).__name__}") from None
    except Exception as error:  # what the API says comes as several types
        raise Refused(f"Ray refused: {str(error).strip().splitlines()[-1]}") from None


@cache
def _client(address: str) -> Any:
    try:
        from ray.job_submission import JobSubmissionClient
    except ImportError:
        raise Refused("ray is not installed: pip install 'kdcore[ray]'") from None

    class Client(JobSubmissionClient):
        """One that does not wait for ever."""

        def _do_request(self, *arguments: Any, **named: Any) -> Any:
            return super()._do_request(*arguments, **{"timeout": ANSWER_SECONDS, **named})

    return Client(address)
