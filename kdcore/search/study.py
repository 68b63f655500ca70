"""Optuna's study of a search, in a journal in the run's folder: every finished trial is on disk."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.pruners import SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import Trial, TrialState

from kdcore.registry import Searched
from kdcore.search.request import HALVED, Search
from kdcore.search.space import Settings

NAME = "study.log"
ROW = "row"  # a trial's attribute: what search.json says of it
SEEDED = "seeded"
POPULATION = 10  # of NSGA-II: a search has dozens of trials, not thousands
ENOUGH = 8  # trained candidates, below which importances say nothing
GRACE_SECONDS = 3  # after which the lock of a dead worker counts no more
DIRECTIONS: dict[str, Literal["maximize", "minimize"]] = {
    "accuracy": "maximize",
    "size": "minimize",
    "latency": "minimize",
}

optuna.logging.set_verbosity(optuna.logging.WARNING)
log = logging.getLogger(__name__)


class Study:
    """The study in `folder`, begun or gone on with. `alone`: trials that are under way were left by a dead worker, and
    are asked first."""

    def __init__(self, folder: Path, search: Search, *, alone: bool = True):
        path = folder / NAME
        if alone:
            _mend(path)
        backend = JournalFileBackend(str(path), JournalFileOpenLock(str(path), GRACE_SECONDS))
        storage = JournalStorage(backend)
        directions = [DIRECTIONS[goal] for goal in search.best]
        self._study = optuna.create_study(
            study_name="search", storage=storage, directions=directions, load_if_exists=True,
            pruner=SuccessiveHalvingPruner(min_resource=1, reduction_factor=HALVED),
        )  # fmt: skip
        self._study.sampler = _sampler(search, len(self._study.trials))
        self._left = self._study.get_trials(states=(TrialState.RUNNING,)) if alone else []

    @property
    def seeded(self) -> bool:
        return bool(self._study.user_attrs.get(SEEDED))

    def seed(self, candidates: Sequence[Settings]) -> None:
        """Candidates to try first. A kill in the middle is no harm: each is asked once."""
        for settings in candidates:
            self._study.enqueue_trial(settings, skip_if_exists=True)
        self._study.set_user_attr(SEEDED, True)

    def ask(self) -> Trial:
        """A trial that was interrupted, with the values and rungs that it has, or else the next."""
        if not self._left:
            return self._study.ask()
        interrupted = self._left.pop(0)
        log.info("trial %d was interrupted; it goes on", interrupted.number)
        return Trial(self._study, interrupted._trial_id)

    def tell(
        self, trial: Trial, row: Mapping[str, Any], excess: Mapping[str, float], values: Sequence[float] | None
    ) -> None:
        """`values`: of the goals; None for a candidate that was not trained. `excess`: by how much of each limit it is
        beyond it, negative within it; empty of one that cannot be made."""
        for name, value in (excess or {"can be made": 1.0}).items():
            trial.set_constraint(name, value)
        trial.set_user_attr(ROW, dict(row))
        if values is not None:
            self._study.tell(trial, list(values))
        else:
            self._study.tell(trial, state=TrialState.PRUNED)

    def behind(self, trial: Trial, rung: int, accuracy: float) -> bool:
        """Whether it is not among the best after this rung of successive halving (0, 1, …), asynchronous as in Li et
        al. 2018, arXiv:1810.05934, algorithm 2."""
        if HALVED**rung in self._study.get_trials(deepcopy=False)[trial.number].intermediate_values:
            return False  # it went on from there before it was interrupted
        trial.report(accuracy, HALVED**rung)
        return trial.should_prune()

    @property
    def rows(self) -> list[dict[str, Any]]:
        """What is known of each finished trial, in their order."""
        finished = [one for one in self._study.trials if one.state.is_finished()]
        return [{"number": one.number, **one.user_attrs[ROW]} for one in finished if ROW in one.user_attrs]

    def importances(self) -> dict[str, float]:
        """How much of what the first goal came to each setting explains, 0..1; empty where there are too few trials."""
        if len(self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))) < ENOUGH:
            return {}
        sign = -1 if self._study.directions[0] == optuna.study.StudyDirection.MAXIMIZE else 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # each setting that few candidates have
            try:
                found = get_param_importances(
                    self._study, evaluator=PedAnovaImportanceEvaluator(), target=lambda trial: sign * trial.values[0]
                )
            except (ValueError, RuntimeError) as error:
                log.info("no importances: %s", error)
                return {}
        return {name: float(value) for name, value in found.items() if math.isfinite(value)}


def suggest(trial: Trial, name: str, searched: Searched) -> Any:
    """The trial's value of this option."""
    if searched.choices:
        return trial.suggest_categorical(name, searched.choices)
    if isinstance(searched.low, int) and isinstance(searched.high, int):
        return trial.suggest_int(name, searched.low, searched.high, step=int(searched.step or 1), log=searched.log)
    return trial.suggest_float(name, searched.low, searched.high, step=searched.step, log=searched.log)


def _sampler(search: Search, trials: int) -> BaseSampler:
    """A search that goes on draws on, and not the same again."""
    seed = (search.seed + trials) % 2**32
    if search.sampler == "random":
        return RandomSampler(seed=seed)
    if len(search.best) > 1:
        return NSGAIISampler(population_size=POPULATION, seed=seed)
    return TPESampler(seed=seed)


def _mend(path: Path) -> None:
    """Takes away a line that was torn by a kill, to which the next would stick."""
    if path.is_file():
        data = path.read_bytes()
        if whole := data[: data.rfind(b"\n") + 1]:
            if whole != data:
                path.write_bytes(whole)
        else:
            path.unlink()
