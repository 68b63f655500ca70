"""A search as the worker does it: a reference, trial after trial, and one look at the test images at the end."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from optuna.trial import Trial

from kdcore.execute.run import Stopped
from kdcore.files import Damaged, write_json
from kdcore.problems import first_line
from kdcore.recipe import Recipe
from kdcore.search import final, judging, uniform
from kdcore.search.candidates import TRIAL_SECONDS, Candidate, Candidates
from kdcore.search.request import parse
from kdcore.search.sketch import Sketches, Weight, train_steps
from kdcore.search.space import Settings, Space
from kdcore.search.study import Study, suggest
from kdcore.workspace import shapes
from kdcore.workspace.events import EventLog
from kdcore.workspace.keys import digest
from kdcore.workspace.workspace import Workspace

log = logging.getLogger("kdcore.search")

NOTHING_YET = {
    "reference": {}, "target": 0, "spent": 0.0, "trials": [], "best": None, "words": "", "importances": {},
}  # fmt: skip
MOST_IDLE = 300  # candidates in a row that are not trained: then there is nothing left to find
UNSURE = 1.25  # a file's latency before training says no more than this about that of the trained file


class Searching:
    """The work of a search's run. What it has found stands in search.json after each trial."""

    def __init__(self, workspace: Workspace, folder: Path, document: dict[str, Any], check: Callable[[], None]):
        self.workspace, self.folder, self.check = workspace, folder, check
        self.search = parse(document["search"])
        self.emit = EventLog(folder / "events.jsonl")
        self.stages: list[dict[str, Any]] = []
        self.session: str | None = None
        self.candidates = Candidates(workspace, self.search, check, self._announce)
        self.document = _known(folder)
        self.began = time.perf_counter()

    @property
    def current(self) -> Any:
        """The stage that is being built, or that failed."""
        return self.candidates.stages and self.candidates.stages.current

    def carry_out(self) -> None:
        """Searches, and concludes. Stopped, it concludes with what there is, and says so by raising Stopped."""
        self.emit("weights", weights={}, session=1.0)
        self._prepare()
        try:
            self._search()
        except Stopped as stopped:
            if stopped.keep:
                self._conclude(train=False)
            raise
        self._conclude(train=True)
        self.emit("session", state="done", progress=1.0)

    def summary(self) -> dict[str, Any]:
        """What the list of runs says of it."""
        found = self.document.get("final") or {}
        chosen, whole = found.get("winner") or found.get("nearest"), self.document.get("reference", {})
        if not chosen:
            return {}
        smaller = whole["size_bytes"] / chosen["size_bytes"] if whole.get("size_bytes") else None
        return {"variant": chosen["label"], "smaller": smaller}

    def _prepare(self) -> None:
        """The reference, the study, and the candidates to begin with."""
        alone = {"seeds": self.search.recipe.seeds[:1], "controls": (), "compress": ()}
        recipe = self.search.recipe.model_copy(update=alone)
        name, self.reference = self.candidates.reference(recipe)
        original = self.workspace.model(self.reference.key) if recipe.start == "model" else None
        self.sketches = Sketches(recipe, self.workspace.cache / "onnx", original)
        self.space = Space(self.search, train_steps(self.search), self.sketches.layers)
        self.study = Study(self.folder, self.search)
        self.done = {digest(row["recipe"]): row for row in self.study.rows if row.get("recipe")}
        if not self.document["reference"]:
            self.document["reference"] = self._reference(name)
        if self.document.pop("final", None) or not self.document["target"]:  # a search that had ended goes on
            self.document |= {"target": self._trained() + self.search.trials, "spent": 0.0}
        if not self.study.seeded:
            self.study.seed([] if self.search.sampler == "random" else self._seeds())
        self._write()

    def _reference(self, name: str) -> dict[str, Any]:
        mine, path = self.reference, self.candidates.file(self.reference.key)
        times = self.candidates.times(path, None) if path and self.search.timed else {}
        return {"name": name, **_figures(mine), **times}

    def _seeds(self) -> list[Settings]:
        """The Recipe as it is, and what a person would try: one method at a time, as large as the limit allows."""
        most = self.search.at_most.size_bytes
        own = self.space.as_asked()
        return [*([own] if own else []), *(uniform.chains(self.space, self.sketches, most, self.check) if most else [])]

    def _search(self) -> None:
        idle = 0
        while not self._enough() and idle < MOST_IDLE:
            self.check()
            trained = self._trained()
            self._trial(self.study.ask())
            idle = 0 if self._trained() > trained else idle + 1
            self._write()
            self.emit("session", state="running", progress=0.9 * self._share())

    def _trained(self) -> int:
        return sum(row["state"] == judging.TRAINED for row in self.done.values())

    def _enough(self) -> bool:
        return self._share() >= 1

    def _share(self) -> float:
        """Of the trials or of the time, whichever is further, 0..1."""
        left = self.document["target"] - self._trained()
        shares = [1 - left / self.search.trials]
        if self.search.minutes:
            shares.append(self._spent() / (60 * self.search.minutes))
        return min(1.0, max(0.0, *shares))

    def _spent(self) -> float:
        return self.document["spent"] + time.perf_counter() - self.began

    def _trial(self, trial: Trial) -> None:
        """One candidate: proposed, weighed, and where it may be within the limits trained and judged."""
        started = time.perf_counter()
        settings = self.space.settings(partial(suggest, trial))
        row: dict[str, Any] = {"settings": settings, **self.space.about(settings), "keys": []}
        try:
            recipe = self.space.recipe(settings, effort=self.search.effort)
            identity = digest(recipe.document())
            if known := self.done.get(identity):
                self._tell(trial, {**known, "repeats": known["number"]})
                return
            row |= {"recipe": recipe.document(), "state": "failed"}
            row |= self._made(recipe)
        except Stopped:
            raise
        except Exception as error:  # a network or a step says in many ways that the two do not fit
            log.info("trial %d failed: %s", trial.number, error)
            row |= {"state": "failed", "why": first_line(error)}
        row["seconds"] = time.perf_counter() - started
        self._tell(trial, row)
        if "recipe" in row:
            self.done[identity] = {"number": trial.number, **row}
        log.info("trial %d: %s, %s", trial.number, row["label"], row["state"])

    def _made(self, recipe: Recipe) -> dict[str, Any]:
        """The figures of a candidate; those that need training only where it can be within the limits."""
        with self.sketches.drawn(recipe) as (path, weight):
            known = self._weighed(path, weight)
        beyond = judging.excess(known, self.search.at_most.given)
        if any(value > judging.ROUNDING for value in beyond.values()):
            return {**known, "state": "beyond", "why": judging.shortfall(known, self.search.at_most.given)}
        built = self.candidates.build(recipe)
        lost = 100 * (self.reference.accuracy - built.accuracy)
        return {
            "state": judging.TRAINED,
            **_figures(built),
            "lost": lost,
            "keys": list(built.keys),
            **self._measured(built),
        }

    def _weighed(self, path: Path, weight: Weight) -> dict[str, Any]:
        """What is known before training: exact but for the latency, of which only what is far off is told."""
        known: dict[str, Any] = weight._asdict()
        if any(name in self.search.at_most.given for name in ("latency_ms", "batch_ms")):
            times = self._timed(path)
            limits = self.search.at_most.given
            known |= {name: times[name] for name in times if times[name] > UNSURE * limits.get(name, float("inf"))}
        return known

    def _measured(self, built: Candidate) -> dict[str, Any]:
        """What only the file itself tells."""
        found: dict[str, Any] = {}
        path = self.candidates.file(built.key)
        if path and self.search.timed:
            found |= self._timed(path)
        if path and "memory_mb" in self.search.at_most.given:
            found["memory_mb"] = self.candidates.memory_mb(path)
        return found

    def _timed(self, path: Path) -> dict[str, float]:
        """Beside the reference, and as if that had taken as long as when the search began."""
        times = self.candidates.times(path, self.candidates.file(self.reference.key), TRIAL_SECONDS)
        return final.at_pace(times, self.document["reference"])

    def _tell(self, trial: Trial, row: dict[str, Any]) -> None:
        trained = row["state"] == judging.TRAINED
        values = [judging.value_of(goal, row, self.search.coded) for goal in self.search.best] if trained else None
        self.study.tell(trial, row, judging.excess(row, self.search.limits_of_trials), values)

    def _announce(self, keys: Sequence[str]) -> None:
        """Says which models are being made, so that no clean-up takes the first of them away."""
        write_json(self.folder / shapes.SEARCH, self.document | {"building": list(keys)})

    def _rows(self) -> list[dict[str, Any]]:
        return [row for row in self.study.rows if "repeats" not in row]

    def _write(self) -> None:
        """search.json as it is now. The study has every trial that was told; this is what pages read."""
        rows = self._rows()
        limits = self.search.limits_of_trials
        best = judging.ranked(rows, self.search, limits)
        self.document |= {
            "trials": rows,
            "best": best[0]["number"] if best else None,
            "words": judging.sentence(rows, self.search, limits),
            "importances": self.study.importances(),
        }
        write_json(self.folder / shapes.SEARCH, self.document | {"spent": self._spent()})

    def _conclude(self, *, train: bool) -> None:
        """The final measurement of the real files. `train`: train what the winner is compared with, too."""
        self.check()
        self.emit("session", state="running", progress=0.9)
        self.document["looks"] = looks = self.document.get("looks", 0) + 1
        found = final.Found(
            self.search, self.space, self.sketches, self.candidates, self.reference, self.document["reference"],
            self._rows(),
        )  # fmt: skip
        self.document["final"] = {**final.conclude(found, train=train), "looks": looks}
        self._write()
        log.info("%s", self.document["final"]["words"])


def _known(folder: Path) -> dict[str, Any]:
    """What search.json says; nothing where it is damaged: the study has it all."""
    try:
        return dict(shapes.search(folder) or NOTHING_YET)
    except Damaged as error:
        log.warning("%s; it is made again", error)
        return dict(NOTHING_YET)


def _figures(built: Candidate) -> dict[str, Any]:
    found = built._asdict()
    del found["keys"]
    return found | {"key": built.key}
