"""A search as the worker does it: a reference, trial after trial, and one look at the test images at the end."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kdcore.execute.run import Stopped
from kdcore.files import Damaged, write_json
from kdcore.search import final, judging
from kdcore.search.request import parse
from kdcore.search.trying import Trying
from kdcore.workspace import shapes
from kdcore.workspace.events import EventLog
from kdcore.workspace.workspace import Workspace

log = logging.getLogger("kdcore.search")

NOTHING_YET = {
    "reference": {}, "target": 0, "spent": 0.0, "trials": [], "best": None, "words": "", "importances": {},
}  # fmt: skip
MOST_IDLE = 300  # candidates in a row that are not trained: then there is nothing left to find
ENDING = 0.9  # share of the progress that the trials are


class Searching:
    """The work of a search's run. What it has found stands in search.json after each trial."""

    def __init__(self, workspace: Workspace, folder: Path, document: dict[str, Any], check: Callable[[], None]):
        self.workspace, self.folder, self.check = workspace, folder, check
        self.search = parse(document["search"])
        self.emit = EventLog(folder / "events.jsonl")
        self.stages: list[dict[str, Any]] = []
        self.session: str | None = None
        self.trying: Trying | None = None
        self.document = _known(folder)
        self.began = time.perf_counter()

    @property
    def current(self) -> Any:
        """The stage that is being built, or that failed."""
        stages = self.trying and self.trying.candidates.stages
        return stages and stages.current

    def carry_out(self) -> None:
        """Searches, and concludes. Stopped, it concludes with what there is, and says so by raising Stopped."""
        self.emit("weights", weights={}, session=1.0)
        trying = self.begin()
        try:
            self._search(trying)
        except Stopped as stopped:
            if stopped.keep:
                self._conclude(trying, train=False)
            raise
        self._conclude(trying, train=True)
        self.emit("session", state="done", progress=1.0)

    def summary(self) -> dict[str, Any]:
        """What the list of runs says of it."""
        found = self.document.get("final") or {}
        chosen, whole = found.get("winner") or found.get("nearest"), self.document["reference"]
        if not chosen:
            return {}
        smaller = whole["size_bytes"] / chosen["size_bytes"] if whole.get("size_bytes") else None
        return {"variant": chosen["label"], "smaller": smaller}

    def begin(self) -> Trying:
        """The reference, the study, and the candidates to begin with."""
        self._announce(())
        trying = self.trying = Trying(self.workspace, self.folder, self.search, self.check, self._announce)
        if not self.document["reference"]:
            self.document["reference"] = trying.describe_reference()
        trying.described = self.document["reference"]
        self.document["measured"] = list(trying.measured)
        trying.seed()
        if self.document.pop("final", None) or not self.document["target"]:  # a search that had ended goes on
            self.document |= {"target": trying.tried() + self.search.trials, "spent": 0.0}
        self._write(trying)
        shutil.rmtree(self.folder / shapes.BUILDING, ignore_errors=True)  # of an earlier worker's company
        return trying

    def _search(self, trying: Trying) -> None:
        idle = 0
        while (share := self._share(trying)) < 1 and idle < MOST_IDLE:
            self.check()
            self.emit("session", state="running", progress=ENDING * share)
            idle = 0 if trying.one() else idle + 1
            self._write(trying)

    def _share(self, trying: Trying) -> float:
        """Of the trials or of the time, whichever is further, 0..1."""
        left = self.document["target"] - trying.tried()
        shares = [1 - left / self.search.trials]
        if self.search.minutes:
            shares.append(self._spent() / (60 * self.search.minutes))
        return min(1.0, max(0.0, *shares))

    def _spent(self) -> float:
        return self.document["spent"] + time.perf_counter() - self.began

    def _announce(self, keys: Sequence[str]) -> None:
        """Says which models are being made, so that no clean-up takes the first of them away."""
        write_json(self.folder / shapes.SEARCH, self.document | {"building": list(keys)})

    def _write(self, trying: Trying) -> None:
        """search.json as it is now. The study has every finished trial; this is what pages read."""
        rows, limits = trying.rows, self.search.limits_of_trials
        best = judging.ranked(rows, self.search, limits)
        self.document |= {
            "trials": rows,
            "best": best[0]["number"] if best else None,
            "words": judging.sentence(rows, self.search, limits),
            "importances": trying.study.importances(),
        }
        write_json(self.folder / shapes.SEARCH, self.document | {"spent": self._spent()})

    def _conclude(self, trying: Trying, *, train: bool) -> None:
        """The final measurement of the real files. `train`: train what the winner is compared with, too."""
        self.check()
        self.emit("session", state="running", progress=ENDING)
        found = final.Found(
            self.search,
            trying.space,
            trying.fitting,
            trying.candidates,
            trying.reference,
            trying.described,
            trying.rows,
        )
        self.document["looks"] = looks = self.document.get("looks", 0) + 1
        self.document["final"] = {**final.conclude(found, train=train), "looks": looks}
        self._write(trying)
        log.info("%s", self.document["final"]["words"])


def _known(folder: Path) -> dict[str, Any]:
    """What search.json says; nothing where it is damaged: the study has it all."""
    try:
        return dict(shapes.search(folder) or NOTHING_YET)
    except Damaged as error:
        log.warning("%s; it is made again", error)
        return dict(NOTHING_YET)
