"""Does another machine see this workspace as this one does? A task that is sent there answers."""

from __future__ import annotations

import secrets
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kdcore.files import held, lock, read_json, write_json
from kdcore.jobs.launcher import Job, Refused
from kdcore.workspace.workspace import Workspace

WAIT_SECONDS = 90.0  # for the job to begin
ANSWER_SECONDS = 600.0  # for its answer once it has: a busy node takes long to start Python
CLOCK_SECONDS = 5.0  # that clocks may differ by
EVERY_SECONDS = 0.25


class Look:
    """What the other machine does: it writes what it sees beside the question."""

    def __init__(self, question: Path):
        self.question = question

    def arguments(self) -> list[str]:
        """Those with which Python does it."""
        return ["-m", "kdcore.jobs.probe", str(self.question)]

    def __call__(self) -> None:
        answer = self.question.with_suffix(".answer")
        try:
            asked = read_json(self.question)["asked"]
        except FileNotFoundError:
            asked = None
        answer.parent.mkdir(parents=True, exist_ok=True)
        seen = {"asked": asked, "locked": held(self.question.with_suffix(".lock"))}
        write_json(answer, {**seen, "time": time.time(), "host": socket.gethostname()})


def probe(workspace: Workspace, submit: Callable[[Look], Job]) -> str:
    """What a job on another machine says of the workspace: in words. Raises Refused where it cannot work there."""
    token = secrets.token_hex(4)
    question = workspace.ensure().cache / f"probe-{token}.json"
    files = [question.with_suffix(suffix) for suffix in (".json", ".lock", ".answer")]
    try:
        with lock(files[1]):
            write_json(question, {"asked": token})
            return _judged(_answer(submit(Look(question)), files[2]), token)
    finally:
        for path in files:
            path.unlink(missing_ok=True)


def _answer(job: Job, path: Path) -> dict[str, Any]:
    """The answer, and `earliest`: until when there was none (Unix seconds)."""
    asked, earliest = time.monotonic(), time.time()
    while time.monotonic() - asked < (ANSWER_SECONDS if job.condition() == "RUNNING" else WAIT_SECONDS):
        if answer := read_json(path, None):
            return {**answer, "earliest": earliest}
        earliest = time.time()
        if not job.lives():
            time.sleep(1.0)  # a network file system shows files late
            if not path.exists():
                raise Refused(
                    f"the job has ended ({job.condition()}) and left nothing in {path.parent}: can its node access "
                    "the workspace and this Python interpreter?"
                )
        time.sleep(EVERY_SECONDS)
    said = job.condition()
    job.end()
    raise Refused(f"a job was accepted but has not answered in {time.monotonic() - asked:.0f} s: {said}; try later")


def _judged(answer: dict[str, Any], token: str) -> str:
    host = answer["host"]
    if answer["asked"] != token:
        raise Refused(f"{host} does not see the files of this workspace: put it on a disk that all nodes share")
    if not answer["locked"]:
        raise Refused(
            f"{host} does not see locks that are held here: mount the disk with locks (NFS 4, Lustre: -o flock)"
        )
    off = max(answer["earliest"] - answer["time"], answer["time"] - time.time(), 0.0)
    if off > CLOCK_SECONDS:
        raise Refused(f"the clock of {host} differs by {off:.0f} s: let NTP set the clocks")
    return f"a job on {host} sees the workspace and its locks; the clocks agree"


if __name__ == "__main__":
    Look(Path(sys.argv[1]))()
