"""What a cluster says of its jobs, asked at most every two seconds and for all of them at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from kdcore.jobs.launcher import Unreachable

LOOK_SECONDS = 2.0


class Conditions:
    """`ask`: the conditions of all jobs by name, or Unreachable. `gone`: that of a job that is unknown there."""

    def __init__(self, ask: Callable[[], Mapping[str, str]], gone: str):
        self._ask, self._gone = ask, gone
        self._known: dict[str, str] = {}
        self._asked = float("-inf")

    def add(self, job: str) -> None:
        """A job that was just submitted."""
        self._known[job] = "PENDING"

    def of(self, job: str) -> str:
        """Its state, and why it waits: "PENDING (Resources)". The last one known where no answer comes."""
        if time.monotonic() - self._asked > LOOK_SECONDS:
            self._look()
            self._asked = time.monotonic()
        return self._known.get(job, self._gone)

    def _look(self) -> None:
        try:
            self._known = dict(self._ask())
        except Unreachable:
            return
