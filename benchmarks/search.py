"""Digits under 10 kB: the search against the best uniform chain of its size, and against as many trials at random.

`python -m benchmarks.search [--searches 5] [--trials 20] [--home FOLDER] [--write]`, in an empty workspace, or in that
in FOLDER, where a killed benchmark goes on. Each search and its networks have a seed of their own. The section is
written after each search.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.results import publish, table
from kdcore.files import read_json
from kdcore.jobs import api
from kdcore.jobs.follow import follow
from kdcore.presets import preset
from kdcore.recipe import override
from kdcore.report import format
from kdcore.report.statistics import paired_interval
from kdcore.report.verdicts import WORDS, judge
from kdcore.search.request import Search, parse
from kdcore.workspace import shapes
from kdcore.workspace.workspace import Workspace

LIMIT = 10_000  # bytes
MARGIN = 0.01
SETTING = ("data.labels=null", "data.validation=0.3", "controls=[]", "compress=[]")


class Outcome(NamedTuple):
    """Test accuracies (0..1) of one seed, and the seconds that its search took."""

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
    parser.add_argument("--searches", type=int, default=5)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--home", type=Path)
    chosen, _ = parser.parse_known_args()
    command = f"python -m benchmarks.search --searches {chosen.searches} --trials {chosen.trials}"
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(chosen.home or Path(folder) / "workspace").ensure()
        outcomes: list[Outcome] = []
        for seed in range(chosen.searches):
            outcomes.append(outcome(workspace, seed, chosen.trials))
            publish("Search on digits", command, body(outcomes, chosen.trials, chosen.searches))
        api.stop_all(workspace)


def outcome(workspace: Workspace, seed: int, trials: int) -> Outcome:
    found, seconds = carried_out(workspace, asked(seed, trials, "tpe"))
    other, _ = carried_out(workspace, asked(seed, trials, "random"))
    final, by_chance = found["final"], other["final"]
    winner, control = final["winner"] or final["nearest"], final["control"]
    made = Outcome(
        winner["test_accuracy"], control["test_accuracy"],
        (by_chance["winner"] or by_chance["nearest"])["test_accuracy"],
        winner["accuracy"], winner["size_bytes"], final["control_trials"], seconds, winner["label"],
    )  # fmt: skip
    print(f"\n{made}", file=sys.stderr, flush=True)
    return made


def asked(seed: int, trials: int, sampler: str) -> Search:
    recipe = override(preset("quickstart").recipe.document(), [*SETTING, f"seeds=[{seed}]"])
    limits = {"at_most": {"size_bytes": LIMIT}, "lose_at_most": 100, "minutes": None, "timing_seconds": 0}
    return parse({"recipe": recipe, **limits, "trials": trials, "seed": seed, "sampler": sampler})


def carried_out(workspace: Workspace, search: Search) -> tuple[Any, float]:
    run = begun(workspace, search) or api.search(workspace, search)
    for row in follow(workspace, run):
        print(f"\r{search.sampler} {search.seed}: {100 * row.progress:3.0f} %", end="", file=sys.stderr, flush=True)
    if row.state != "done":
        raise SystemExit(f"{run}: {row.state}: {row.error}")
    found = shapes.search(workspace.run(run))
    return found, found["spent"] if found else 0.0


def begun(workspace: Workspace, search: Search) -> str | None:
    """The run that asked for the same before a kill."""
    asked = search.document()["search"]
    return next(
        (run for run in workspace.run_ids() if read_json(workspace.run(run) / "recipe.json").get("search") == asked),
        None,
    )


def body(outcomes: list[Outcome], trials: int, searches: int) -> str:
    columns = {"search": "search", "uniform": "uniform chain", "at_random": "random search"}
    rows = [[words, *spread([getattr(one, name) for one in outcomes])] for name, words in columns.items()]
    each = [
        [str(seed), one.label, f"{one.size:,}", *(format.percent(share) for share in one[:4]), f"{one.seconds:.0f}"]
        for seed, one in enumerate(outcomes)
    ]
    return "\n\n".join(
        [
            f"{len(outcomes)} of {searches} searches. Quickstart's networks on digits, all labels, at most {LIMIT:,} "
            f"bytes, {trials} candidates trained by each search. *Uniform*: the best of "
            f"{outcomes[0].uniform_trials} chains of one method, no larger than "
            "the winner. *Random search*: as many candidates from the same space, without the uniform chains to begin "
            "with. All are chosen by validation images; the accuracies are on the test images.",
            table(["found by", "median", "range"], rows),
            "\n".join(f"- {against(outcomes, name, words)}" for name, words in [*columns.items()][1:]),
            table(["seed", "winner", "bytes", "search", "uniform", "random", "validation", "seconds"], each),
        ]
    )


def spread(shares: list[float]) -> list[str]:
    return [
        format.percent(statistics.median(shares)),
        f"{format.percent(min(shares))} to {format.percent(max(shares))}",
    ]


def against(outcomes: list[Outcome], name: str, words: str) -> str:
    """The search beside another way, paired by seed."""
    mine, other = [one.search for one in outcomes], [getattr(one, name) for one in outcomes]
    difference = paired_interval(mine, other, 1 / 600)
    interval = (
        f" ({format.signed(100 * difference.low)} to {format.signed(100 * (difference.high or 0))})"
        if (difference.low is not None)
        else ""
    )
    verdict = WORDS[judge(difference, MARGIN)]
    return f"Against {words}: {format.points(100 * difference.value)}{interval}, {len(outcomes)} seeds: **{verdict}**."


if __name__ == "__main__":
    main()
