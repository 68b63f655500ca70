"""Trying candidates of a study: each is proposed, weighed, and where it may be within the limits trained and judged."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from optuna.trial import Trial

from kdcore.execute.run import Stopped
from kdcore.problems import first_line
from kdcore.recipe import Recipe
from kdcore.report import format
from kdcore.search import judging, starts, uniform
from kdcore.search.candidates import TRIAL_SECONDS, Candidate, Candidates, at_pace
from kdcore.search.fitting import SHOWN, Fitting
from kdcore.search.groups import Groups
from kdcore.search.request import HALVED, RUNGS, Search
from kdcore.search.sketch import Sketches, Weight, train_steps
from kdcore.search.space import Settings, Space
from kdcore.search.study import Study, suggest
from kdcore.workspace.keys import digest
from kdcore.workspace.shapes import TRIED
from kdcore.workspace.workspace import Workspace

log = logging.getLogger("kdcore.search")


UNSURE = 1.25  # a file's latency before training says no more than this about that of the trained file


class Trying:
    """A worker's hold on a study. `alone`: it takes over what a dead worker left. `check` raises to end it; `announce`
    hears the keys of the models that are built next. Building the reference is part of making it."""

    def __init__(
        self,
        workspace: Workspace,
        folder: Path,
        search: Search,
        check: Callable[[], None],
        announce: Callable[[Sequence[str]], None],
        *,
        alone: bool = True,
    ):
        self.search, self.check = search, check
        self.candidates = Candidates(workspace, search, check, announce)
        recipe = search.recipe.model_copy(update={"seeds": search.recipe.seeds[:1], "controls": (), "compress": ()})
        self.name, self.reference = self.candidates.reference(recipe)
        original = workspace.model(self.reference.key) if recipe.start == "model" else None
        self.sketches = Sketches(recipe, workspace.cache / "onnx", original)
        self.space = Space(search, train_steps(search), self.sketches.layers)
        self.measured: tuple[str, ...] = ()  # the keys of the model whose layer sensitivity says the groups
        self.space.groups = self._groups() if self.space.by_layer() else {}
        self.fitting = Fitting(self.space, self.sketches, self._timed)
        self.study = Study(folder, search, alone=alone)
        self.described: dict[str, Any] = {}  # of the reference, in search.json

    def _groups(self) -> dict[str, Groups]:
        """The groups of the layers of the Recipe's student before its steps, which is trained for it as a candidate is,
        or of the original model; none where that cannot be."""
        try:
            built = self.candidates.build(self.space.recipe({}, effort=self.search.effort))
            self.measured = built.keys
            return starts.measured(self.space, self.candidates.workspace.model(built.key), self.check)
        except Stopped:
            raise
        except Exception as error:  # as for a trial
            log.info("layers are treated alike: %s", first_line(error))
            return {}

    def describe_reference(self) -> dict[str, Any]:
        """What search.json says of the reference; its times are those that limits are meant for."""
        path = self.candidates.file(self.reference.key)
        times = self.candidates.times(path, None) if path and self.search.timed else {}
        return {"name": self.name, **figures(self.reference), **times}

    def seed(self) -> None:
        """The first candidates: the Recipe as it is, and what a person would try, one method at a time, as large as the
        limits allow, alike or as layer sensitivity proposes. None for a search at random."""
        if self.study.seeded:
            return
        if self.search.sampler == "random":
            self.study.seed([])
            return
        limits, own = self.search.at_most.given, self.space.as_asked()
        fits = self.fitting.within(limits) if limits.keys() & SHOWN else None
        first: list[Settings] = [own] if own else []
        if fits:
            first += uniform.chains(self.space, fits, self.check)
        self.study.seed(first + starts.by_sensitivity(self.space, fits, self.check))

    @property
    def rows(self) -> list[dict[str, Any]]:
        """What is known of each trial, those that repeat an earlier one left out."""
        return [row for row in self.study.rows if "repeats" not in row]

    def tried(self) -> int:
        """How many candidates were trained, those that were stopped early among them."""
        return sum(row["state"] in TRIED for row in self.rows)

    def one(self) -> bool:
        """Tries a candidate; whether it was trained, if only in part."""
        trial = self.study.ask()
        started = time.perf_counter()
        settings = self.space.settings(partial(suggest, trial))
        row: dict[str, Any] = {"settings": settings, **self.space.about(settings), "keys": []}
        try:
            recipe = self.space.recipe(settings, effort=self.search.effort)
            if known := self._known(recipe):
                self._tell(trial, {**known, "repeats": known["number"]})
                return False
            row |= {"recipe": recipe.document(), "state": "failed"}
            row |= self._made(trial, settings, recipe)
        except Stopped:
            raise
        except Exception as error:  # a network or a step says in many ways that the two do not fit
            row |= {"state": "failed", "why": first_line(error)}
        row["seconds"] = time.perf_counter() - started
        self._tell(trial, row)
        log.info("trial %d: %s: %s", trial.number, row["label"], row.get("why", row["state"]))
        return row["state"] in TRIED

    def _known(self, recipe: Recipe) -> dict[str, Any] | None:
        """The trial that tried just this."""
        identity = digest(recipe.document())
        return next((row for row in self.rows if "recipe" in row and digest(row["recipe"]) == identity), None)

    def _made(self, trial: Trial, settings: Settings, recipe: Recipe) -> dict[str, Any]:
        """The figures of a candidate; those that need training only where it can be within the limits."""
        limits = self.search.at_most.given
        with self.sketches.drawn(recipe) as (path, weight):
            known = self._weighed(path, weight)
        if any(value > judging.ROUNDING for value in judging.excess(known, limits).values()):
            return {**known, "state": "beyond", "why": judging.shortfall(known, limits)}
        if stopped := self._halved(trial, settings):
            return stopped
        built = self.candidates.build(recipe)
        lost = 100 * (self.reference.accuracy - built.accuracy)
        return {
            "state": judging.TRAINED, **figures(built), "lost": lost, "keys": list(built.keys), **self._measured(built),
        }  # fmt: skip

    def _halved(self, trial: Trial, settings: Settings) -> dict[str, Any] | None:
        """What is known of a candidate that is worse than others after fewer steps; None of one that goes on."""
        for rung, effort in enumerate(self.search.rungs[:-1]):
            built = self.candidates.build(self.space.recipe(settings, effort=effort))
            if self.study.behind(trial, rung, built.accuracy):
                share = f"1/{HALVED ** (RUNGS - 1 - rung)}"
                said = f"{format.percent(built.accuracy)} on validation examples after {share} of the training steps"
                why = f"{said} is not among the best third"
                return {"state": judging.STOPPED, **figures(built), "keys": list(built.keys), "why": why}
        return None

    def _weighed(self, path: Path, weight: Weight) -> dict[str, Any]:
        """What is known before training: exact but for the latency, which counts only where it is far off."""
        known: dict[str, Any] = weight._asdict()
        limits = self.search.at_most.given
        if any(name in limits for name in ("latency_ms", "batch_ms")):
            times = self._timed(path)
            known |= {name: times[name] for name in times if times[name] > UNSURE * limits.get(name, float("inf"))}
        return known

    def _measured(self, built: Candidate) -> dict[str, Any]:
        """What only the file itself shows."""
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
        return at_pace(times, self.described)

    def _tell(self, trial: Trial, row: dict[str, Any]) -> None:
        trained = row["state"] == judging.TRAINED
        values = [judging.value_of(goal, row, self.search.coded) for goal in self.search.best] if trained else None
        self.study.tell(trial, row, judging.excess(row, self.search.limits_of_trials), values)


def figures(built: Candidate) -> dict[str, Any]:
    """What search.json says of a model."""
    found = built._asdict()
    del found["keys"]
    return found | {"key": built.key}
