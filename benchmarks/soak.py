"""Many short runs, two at a time, in front of one dispatcher and one dashboard that somebody looks at: whether memory,
file handles, threads or processes grow.

Each run has a worker process of its own; the first few train, the others find the models there. `--minutes` ends it
early; the table says how many runs there were.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil

from benchmarks.class_server import browser
from benchmarks.dashboard import dashboard
from benchmarks.quickstart import environment
from benchmarks.results import SCALE, publish, table
from kdcore import machine
from kdcore.jobs import api
from kdcore.presets import preset
from kdcore.recipe import Recipe, override, parse
from kdcore.workspace import settings
from kdcore.workspace.index import Index
from kdcore.workspace.state import SETTLED
from kdcore.workspace.workspace import Workspace

SHORT = (
    "teacher.model.width=8", "teacher.train.steps=10", "student.model.width=8", "train.steps=10", "controls=[]",
    "compress=[]", "measure.timing_seconds=0",
)  # fmt: skip
SLOTS = 2
NETWORKS = 4  # seeds that are trained; later runs repeat them
LOOK_SECONDS = 1.0
SHOWN = 9  # rows of the table
SETTLING = 0.25  # of the runs: caches fill meanwhile, and growth is counted from there


class Sample(NamedTuple):
    """After so many runs: memory (resident, in bytes), open files and threads of the dispatcher and of the dashboard's
    server, and the processes below this one."""

    runs: int
    dispatcher_memory: int
    dispatcher_files: int
    dispatcher_threads: int
    server_memory: int
    server_files: int
    server_threads: int
    processes: int


def short(number: int) -> Recipe:
    """A Recipe that takes hardly longer than its worker takes to start."""
    own = f"seeds=[{number % NETWORKS}]", f"name=Run {number}"
    return parse(override(preset("quickstart").recipe.document(), [*SHORT, *own]))


def soak(workspace: Workspace, runs: int, seconds: float) -> list[Sample]:
    """Submits the runs and takes samples until all have ended, or the time has."""
    settings.write(workspace, slots=SLOTS)
    for number in range(runs):
        api.submit(workspace, short(number))
    command = [sys.executable, "-m", "kdcore", "dispatch", "--idle", "5"]
    with dashboard(workspace) as (address, server):
        dispatcher = subprocess.Popen(command, env=environment(workspace.root))
        try:
            return asyncio.run(_watched(workspace, address, (psutil.Process(dispatcher.pid), server), runs, seconds))
        finally:
            api.stop_all(workspace)
            dispatcher.wait()


async def _watched(
    workspace: Workspace, address: str, watched: tuple[psutil.Process, psutil.Process], runs: int, seconds: float
) -> list[Sample]:
    samples, deadline = [], time.monotonic() + seconds
    async with browser(address) as session:
        await session.open("runs")  # drawn again every two seconds while a run is active
        while (ended := _ended(workspace)) < runs and time.monotonic() < deadline:
            if not samples or ended > samples[-1].runs:
                samples.append(_sample(ended, *watched))
                print(samples[-1], file=sys.stderr, flush=True)
            await asyncio.sleep(LOOK_SECONDS)
        samples.append(_sample(ended, *watched))
    return samples


def _ended(workspace: Workspace) -> int:
    return sum((workspace.runs / run_id / "result.json").exists() for run_id in workspace.run_ids())


def _sample(runs: int, dispatcher: psutil.Process, server: psutil.Process) -> Sample:
    numbers = []
    for process in (dispatcher, server):
        with process.oneshot():
            numbers += [int(process.memory_info().rss), process.num_fds(), process.num_threads()]
    return Sample(runs, *numbers, len(psutil.Process().children(recursive=True)))


def growth(samples: list[Sample], name: str) -> float:
    """How much this number grows in a hundred runs, by a straight line through all but the first samples."""
    later = [one for one in samples if one.runs >= SETTLING * samples[-1].runs]
    slope, _ = np.polyfit([one.runs for one in later], [getattr(one, name) for one in later], 1)
    return 100 * float(slope)


def body(samples: list[Sample], states: dict[str, int], minutes: float) -> str:
    chosen = [samples[place] for place in sorted({*np.linspace(0, len(samples) - 1, SHOWN).astype(int).tolist()})]
    rows = [[str(one.runs), *(_shown(name, value) for name, value in _numbers(one).items())] for one in chosen]
    grown = [_shown(name, growth(samples, name), "+.1f") for name in _numbers(samples[0])]
    columns = [name.replace("_", ", ").replace("memory", "MiB") for name in _numbers(samples[0])]
    told = ", ".join(f"{count} {state}" for state, count in states.items())
    return (
        f"{samples[-1].runs} runs in {minutes:.0f} minutes ({told}), {SLOTS} at a time, each with a worker process of "
        f"its own; the first {NETWORKS} train a teacher and a student, the others find both there. The page Runs is "
        "open in one session and drawn again every two seconds. The last row follows a straight line through all "
        f"samples after the first {100 * SETTLING:.0f} %. Load average over cores at the end: "
        f"{machine.crowding():.1f}.\n\n" + table(["after runs", *columns], [*rows, ["growth in 100 runs", *grown]])
    )


def _numbers(sample: Sample) -> dict[str, int]:
    return {name: value for name, value in sample._asdict().items() if name != "runs"}


def _shown(name: str, value: float, how: str = ".0f") -> str:
    return format(value / 2**20, how.replace("0f", "1f")) if "memory" in name else format(value, how)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=60, help="after so many it ends with the runs that are done")
    asked = parser.parse_known_args()[0]
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder) / "workspace").ensure()
        samples = soak(workspace, asked.runs, 60 * asked.minutes)
        minutes = (time.monotonic() - started) / 60
        index = Index(workspace)
        index.sync()
        found = [row.state for row in index.runs() if row.state in SETTLED]
    states = {state: found.count(state) for state in SETTLED if state in found and state != "cancelled"}
    command = f"python -m benchmarks.soak --runs {asked.runs}"
    publish("A soak of short runs", command, body(samples, states, minutes), SCALE)


if __name__ == "__main__":
    main()
