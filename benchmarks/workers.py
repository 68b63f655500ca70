"""Two workers against one on the method comparison, then by simulation any number of them, on three experiments.

The ratio is that of one sitting: both orders, one after the other, on a machine that does nothing else.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean

from benchmarks.quickstart import environment
from benchmarks.results import SCALE, publish, table
from kdcore import machine
from kdcore.files import held
from kdcore.jobs import api
from kdcore.jobs.follow import follow
from kdcore.plan.plan import plan
from kdcore.plan.processes import critical_path, together
from kdcore.presets import preset
from kdcore.recipe import Recipe, override, parse
from kdcore.workspace import settings
from kdcore.workspace.events import read
from kdcore.workspace.plans import Stage
from kdcore.workspace.workspace import Workspace

PRESET = "which-method"
WORKERS = (1, 2, 4, 8, 16, 64, 256, 1000)
POINTS = 100
TARGET = 0.6


def measure(changes: list[str]) -> None:
    """Runs both experiments, with these changes, and publishes what they took."""
    method, quickstart = (parse(override(preset(name).recipe.document(), changes)) for name in (PRESET, "quickstart"))
    before = machine.crowding()
    with tempfile.TemporaryDirectory() as folder:
        walls = defaultdict(list)
        for number, workers in enumerate((1, 2, 2, 1)):
            workspace = Workspace(Path(folder) / f"{number}-{workers}").ensure()
            run_id, seconds = run(workspace, method, workers)
            walls[workers].append(seconds)
            if number == 0:
                built = stage_seconds(workspace, run_id)
        home = Workspace(Path(folder) / "quickstart").ensure()
        quick = stage_seconds(home, run(home, quickstart, 1)[0])
    ratio = mean(walls[2]) / mean(walls[1])
    body = [
        f"*{preset(PRESET).title}* takes {mean(walls[1]):.0f} s with one worker and {mean(walls[2]):.0f} s with two: a "
        f"ratio of **{ratio:.2f}** (wanted: at most {TARGET}), measured in the order one, two, two, one. Load average "
        f"over cores before and after: {before:.1f} and {machine.crowding():.1f}.",
        f"Seconds until all stages are built, by simulation from the seconds of each stage; of the sweep over {POINTS} "
        "temperatures the quickstart's by kind of stage. `infinite` is the critical path.",
        simulated(method, built, quickstart, quick),
    ]
    command = " ".join(["python -m benchmarks.scale workers", *(f"--set {change}" for change in changes)])
    publish("Workers", command, "\n\n".join(body), SCALE)


def run(workspace: Workspace, recipe: Recipe, workers: int) -> tuple[str, float]:
    """The run's id, and the seconds from its submission to its end, with so many workers."""
    settings.write(workspace, slots=2)  # more than one: then no worker starts a process of its own beside it
    command = [sys.executable, "-m", "kdcore", "dispatch", "--slots", str(workers), "--idle", "5"]
    dispatcher = subprocess.Popen(command, env=environment(workspace.root))
    while not held(workspace.root / "dispatcher.lock"):
        time.sleep(0.05)
    started = time.perf_counter()
    run_id = api.submit(workspace, recipe)
    *_, row = follow(workspace, run_id)
    seconds = time.perf_counter() - started
    dispatcher.wait()
    if row.state != "done":
        raise SystemExit(f"{run_id}: {row.state}: {row.error}")
    return run_id, seconds


def stage_seconds(workspace: Workspace, run_id: str) -> dict[str, float]:
    """What each stage took, by its key, as the events have it."""
    events = read(workspace.run(run_id) / "events.jsonl").events
    return {one["stage"]: one["seconds"] for one in events if one["type"] == "stage" and one["state"] == "done"}


def planned(recipe: Recipe) -> list[Stage]:
    return list(plan(recipe, Workspace()).stages)


def hundred_points(recipe: Recipe) -> list[Stage]:
    """The stages of a Recipe at so many temperatures: of five sweeps, as one takes 24 points at most."""
    values = [round(1 + place / 5, 1) for place in range(POINTS)]
    document = recipe.document()
    sweeps = [override(document, [f'sweep={{"distill.temperature": {values[first::5]}}}']) for first in range(5)]
    return list({stage.key: stage for sweep in sweeps for stage in planned(parse(sweep))}.values())


def by_kind(stages: Sequence[Stage], known: Mapping[str, float]) -> dict[tuple[str, str], float]:
    """The mean seconds of the stages of each kind and role."""
    found = defaultdict(list)
    for stage in stages:
        found[stage.kind, stage.role].append(known[stage.key])
    return {kind: mean(seconds) for kind, seconds in found.items()}


def simulated(method: Recipe, built: Mapping[str, float], quickstart: Recipe, quick: Mapping[str, float]) -> str:
    sweep = hundred_points(quickstart)
    kinds = by_kind(planned(quickstart), quick)
    rows = [
        ("method comparison", planned(method), built),
        ("quickstart", planned(quickstart), quick),
        (f"sweep of {POINTS}", sweep, {stage.key: kinds[stage.kind, stage.role] for stage in sweep}),
    ]
    head = ["experiment", "stages", *(f"{count:,}" for count in WORKERS), "infinite"]
    cells = []
    for name, stages, seconds in rows:
        walls = [together(stages, seconds, min(count, len(stages))) for count in WORKERS]
        walls.append(critical_path(stages, seconds))
        cells.append([name, str(len(stages)), *(f"{wall:.0f}" for wall in walls)])
    return table(head, cells)
