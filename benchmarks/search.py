"""A search against the best uniform chain of its size, and against as many trials at random: digits under 10 kB, or
CIFAR-100's first 20 classes under 100 kB and 0.5 ms.

`python -m benchmarks.search [cifar | cifar-halving] [--searches 5] [--trials 20] [--quick] [--home FOLDER] [--write]`,
in an empty workspace, or in that in FOLDER, where a killed benchmark goes on. Each search has a seed of its own, and on
digits its networks too. The section is written after each search. `--quick` trains hardly anything, to see that all of
it works.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.results import publish, table
from kdcore.data.fetch import fetch
from kdcore.files import read_json
from kdcore.jobs import api
from kdcore.jobs.follow import follow
from kdcore.presets import preset
from kdcore.recipe import override
from kdcore.report import format
from kdcore.report.statistics import paired_interval
from kdcore.report.verdicts import WORDS, judge
from kdcore.search import judging
from kdcore.search.request import Search, parse
from kdcore.workspace import settings, shapes
from kdcore.workspace.state import state
from kdcore.workspace.workspace import Workspace

MARGIN = 0.01
DIGITS = ("data.labels=null", "data.validation=0.3", "controls=[]", "compress=[]")
QUICK = ("teacher.train.epochs=null", "teacher.train.steps=20", "train.epochs=null", "train.steps=18")


class Task(NamedTuple):
    """`about`: networks and data in words. `recipe`: by the search's seed. `tested`: test images. `at_most`: limits."""

    title: str
    about: str
    recipe: Callable[[int], dict[str, Any]]
    tested: int
    at_most: dict[str, float]
    halving: bool = False


def _digits(seed: int) -> dict[str, Any]:
    return override(preset("quickstart").recipe.document(), [*DIGITS, f"seeds=[{seed}]"])


def _cifar(_: int) -> dict[str, Any]:
    """Short enough for five searches in 90 minutes on two cores: students see images as they are, so that the teacher
    answers each of them once."""
    return {
        "name": "CIFAR-100, 20 classes",
        "data": {"source": {"dataset": "cifar100", "classes": 20}, "validation": 0.1},
        "teacher": {
            "model": {"architecture": "resnet", "depth": 20},
            "train": {
                "epochs": 8, "optimizer": "sgd", "learning_rate": 0.2, "weight_decay": 0.0005, "batch_size": 64,
                "views": {"crop": 4, "flip": True},
            },
        },
        "student": {"model": {"architecture": "cnn", "width": 32}},
        "distill": {"method": "kd", "temperature": 4, "hard_weight": 0.1, "soft_weight": 0.9},
        "train": {"epochs": 3, "optimizer": "adamw", "learning_rate": 0.005, "batch_size": 64},
        "controls": [],
        "seeds": [0],
    }  # fmt: skip


CIFAR = Task(
    "Search on CIFAR-100",
    "The first 20 classes of CIFAR-100, small CNNs taught by a resnet20",
    _cifar, 2000, {"size_bytes": 100_000, "latency_ms": 0.5},
)  # fmt: skip
TASKS = {
    "digits": Task(
        "Search on digits", "Quickstart's networks on digits, all labels", _digits, 600, {"size_bytes": 10_000},
    ),
    "cifar": CIFAR,
    "cifar-halving": CIFAR._replace(
        title="Search on CIFAR-100, with successive halving", about=f"{CIFAR.about}, successive halving", halving=True
    ),
}  # fmt: skip


class Outcome(NamedTuple):
    """Test accuracies (0..1) of one seed, and the seconds until both of its searches had ended."""

    search: float
    uniform: float
    at_random: float
    validation: float
    size: int
    uniform_trials: int
    seconds: float
    label: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", nargs="?", choices=TASKS, default="digits")
    parser.add_argument("--searches", type=int, default=5)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--home", type=Path)
    chosen, _ = parser.parse_known_args()
    task, quick = TASKS[chosen.task], " --quick" * chosen.quick
    command = f"python -m benchmarks.search {chosen.task} --searches {chosen.searches} --trials {chosen.trials}{quick}"
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(chosen.home or Path(folder) / "workspace").ensure()
        settings.write(workspace, slots=os.cpu_count())  # a search and the one at random side by side
        outcomes: list[Outcome] = []
        for seed in range(chosen.searches):
            mine, other = (asked(task, seed, chosen.trials, kind, quick=chosen.quick) for kind in ("tpe", "random"))
            outcomes.append(outcome(workspace, mine, other))
            publish(task.title, command, body(task, outcomes, chosen.trials, chosen.searches))
        api.stop_all(workspace)


def outcome(workspace: Workspace, mine: Search, other: Search) -> Outcome:
    fetch(mine.recipe.data.source)
    runs = [begun(workspace, search) or api.search(workspace, search) for search in (mine, other)]
    (found, seconds), (beside, longer) = (ended(workspace, run) for run in runs)
    final, by_chance = found["final"], beside["final"]
    winner, control = final["winner"] or final["nearest"], final["control"]
    if not control:
        raise SystemExit(f"no uniform chain is as small as {winner['label']}")
    made = Outcome(
        winner["test_accuracy"], control["test_accuracy"],
        (by_chance["winner"] or by_chance["nearest"])["test_accuracy"],
        winner["accuracy"], winner["size_bytes"], final["control_trials"], max(seconds, longer), winner["label"],
    )  # fmt: skip
    print(f"\n{made}", file=sys.stderr, flush=True)
    return made


def asked(task: Task, seed: int, trials: int, sampler: str, *, quick: bool = False) -> Search:
    recipe = override(task.recipe(seed), QUICK if quick else [])
    timing = 8.0 if "latency_ms" in task.at_most else 0.0
    limits = {"at_most": task.at_most, "lose_at_most": 100, "minutes": None, "timing_seconds": timing}
    how = {"trials": trials, "seed": seed, "sampler": sampler, "halving": task.halving}
    return parse({"recipe": recipe, **limits, **how})


def ended(workspace: Workspace, run: str) -> tuple[Any, float]:
    """What the search found, and its seconds, once it is over."""
    for row in follow(workspace, run):
        print(f"\r{run}: {100 * row.progress:3.0f} %", end="", file=sys.stderr, flush=True)
    if row.state != "done":
        raise SystemExit(f"{run}: {row.state}: {row.error}")
    found = shapes.search(workspace.run(run))
    return found, found["spent"] if found else 0.0


def begun(workspace: Workspace, search: Search) -> str | None:
    """The run that asked for the same before a kill, which goes on."""
    asked = search.document()["search"]
    for run in workspace.run_ids():
        if read_json(workspace.run(run) / "recipe.json").get("search") == asked:
            if state(workspace.run(run)) != "done":
                api.request(workspace, run, "run")
            return run
    return None


def body(task: Task, outcomes: list[Outcome], trials: int, searches: int) -> str:
    columns = {"search": "search", "uniform": "uniform chain", "at_random": "random search"}
    rows = [[words, *spread([getattr(one, name) for one in outcomes])] for name, words in columns.items()]
    each = [
        [str(seed), one.label, f"{one.size:,}", *(format.percent(share) for share in one[:4]), f"{one.seconds:.0f}"]
        for seed, one in enumerate(outcomes)
    ]
    said = judging.asked(asked(task, 0, trials, "tpe").model_copy(update={"lose_at_most": None}))
    limits = said[:1].upper() + said[1:]
    return "\n\n".join(
        [
            f"{len(outcomes)} of {searches} searches. {task.about}. {limits}; {trials} candidates "
            f"trained by each search. *Uniform*: the best of "
            f"{outcomes[0].uniform_trials} chains of one method, no larger than "
            "the winner. *Random search*: as many candidates from the same space, without the uniform chains to begin "
            "with. All are chosen by validation images; the accuracies are on the test images. The two searches of a "
            f"seed ran side by side; all of them took {sum(one.seconds for one in outcomes) / 60:.0f} minutes.",
            table(["found by", "median", "range"], rows),
            "\n".join(f"- {against(outcomes, name, words, task.tested)}" for name, words in [*columns.items()][1:]),
            table(["seed", "winner", "bytes", "search", "uniform", "random", "validation", "seconds"], each),
        ]
    )


def spread(shares: list[float]) -> list[str]:
    return [
        format.percent(statistics.median(shares)),
        f"{format.percent(min(shares))} to {format.percent(max(shares))}",
    ]


def against(outcomes: list[Outcome], name: str, words: str, tested: int) -> str:
    """The search beside another way, paired by seed."""
    mine, other = [one.search for one in outcomes], [getattr(one, name) for one in outcomes]
    difference = paired_interval(mine, other, 1 / tested)
    interval = (
        f" ({format.signed(100 * difference.low)} to {format.signed(100 * (difference.high or 0))})"
        if (difference.low is not None)
        else ""
    )
    verdict = WORDS[judge(difference, MARGIN)]
    return f"Against {words}: {format.points(100 * difference.value)}{interval}, {len(outcomes)} seeds: **{verdict}**."


if __name__ == "__main__":
    main()
