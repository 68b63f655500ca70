"""What many runs cost: copies of one real run, listed, scanned, brought into the index and shown on pages.

Processor time is what counts: it hardly depends on what else the machine does. File system operations are counted by
strace (Linux), those on files of the workspace alone.
"""

from __future__ import annotations

import asyncio
import re
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from time import process_time
from typing import Any, NamedTuple

import psutil

from benchmarks.class_server import browser
from benchmarks.dashboard import copies, cut_short, dashboard, real_run
from benchmarks.quickstart import environment
from benchmarks.results import SCALE, publish, table
from kdcore import machine
from kdcore.jobs import api
from kdcore.jobs.at_work import AtWork
from kdcore.jobs.dispatcher import pending
from kdcore.workspace.events import read
from kdcore.workspace.index import Index
from kdcore.workspace.workspace import Workspace

SIZES = (1_000, 10_000, 100_000)
PAGES = {"Home": "", "Runs": "runs", "Compare": "compare", "System": "system"}
LIVE_SECONDS = 2.0  # how often an open page with a run at work looks at all of them
LOOKED_AT = 200  # jobs whose cost for the dispatcher is measured
ASKED = "%file,write,pwrite64,flock,getdents64,fsync,fdatasync,ftruncate"  # what a file server would hear of
CALL = re.compile(r"^\d+\s+(\w+)\(")


class Visit(NamedTuple):
    """The server's processor time, in seconds, until a page is whole, and the bytes that it sent; None where it took
    more than two minutes."""

    seconds: float | None
    bytes: int


class Costs(NamedTuple):
    """Of a workspace of so many runs: seconds of processor time of each action, and the visits of each page."""

    runs: int
    seconds: dict[str, float]
    pages: dict[str, list[Visit]]


class Rates(NamedTuple):
    """What limits rest on. `events`: of one run. `job`: processor seconds of the dispatcher's look for each worker.
    `sync`, `look`: file system operations for each run. `worker`: those of the worker that carries it out."""

    events: int
    job: float
    sync: float
    look: float
    worker: int


def measure(most: int, rounds: int) -> None:
    """Makes workspaces of up to `most` runs, measures them and publishes what they cost."""
    before = machine.crowding()
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder) / "workspace").ensure()
        run_id = real_run(workspace)
        costs = [costs_of(workspace, run_id, size, rounds) for size in SIZES if size <= most]
        rates = Rates(
            events=len(read(workspace.run(run_id) / "events.jsonl").events),
            job=job_seconds(workspace, run_id),
            sync=operations_of("sync", Path(folder)),
            look=operations_of("look", Path(folder)),
            worker=operations_of_a_run(Path(folder)),
        )
    command = f"python -m benchmarks.scale runs --most {most} --rounds {rounds}"
    loads = f"Load average over cores before and after: {before:.1f} and {machine.crowding():.1f}."
    publish("Many runs", command, f"{loads}\n\n{body(costs, rates)}", SCALE)


def costs_of(workspace: Workspace, run_id: str, size: int, rounds: int) -> Costs:
    """Fills the workspace up to this size, and measures it."""
    there = len(workspace.run_ids())
    copies(workspace, run_id, range(there, size))
    index, known = Index(workspace), {}
    found = {"index: each new run": spent(index.sync) / (size - there)}
    found["index: nothing new"] = statistics.median(spent(index.sync) for _ in range(3))
    found["index: one run alone"] = spent(lambda: index.sync(run_id))
    found["list of all runs, first"] = spent(index.runs)
    found["list of all runs, again"] = spent(index.runs)
    found["dispatcher's first look"] = spent(lambda: pending(workspace, known))
    found["dispatcher's look"] = statistics.median(spent(lambda: pending(workspace, known)) for _ in range(3))
    found["queue, first"] = spent(lambda: api.queue(workspace))
    found["queue, again"] = spent(lambda: api.queue(workspace))
    with dashboard(workspace) as (address, server):
        made = Costs(size, found, asyncio.run(visits(address, server, rounds)))
    print(made, file=sys.stderr, flush=True)
    return made


async def visits(address: str, server: psutil.Process, rounds: int) -> dict[str, list[Visit]]:
    """So many visits of each page in one session, after a first one that does not count."""
    found: dict[str, list[Visit]] = {name: [] for name in PAGES}
    async with browser(address) as session:
        for counts in (False, *[True] * rounds):
            for name, page in PAGES.items():
                before, received = sum(server.cpu_times()[:2]), session.received
                try:
                    await session.open(page)
                    seconds = sum(server.cpu_times()[:2]) - before
                except TimeoutError:
                    seconds = None
                if counts:
                    found[name].append(Visit(seconds, session.received - received))
    return found


def spent(action: Callable[[], Any]) -> float:
    """The processor seconds that it takes."""
    before = process_time()
    action()
    return process_time() - before


class Endless:
    """A job that goes on; asking for it costs nothing."""

    about: Mapping[str, Any] = {}

    def lives(self) -> bool:
        return True

    def condition(self) -> str:
        return ""

    def failed(self) -> bool:
        return False

    def end(self) -> None:
        pass


def job_seconds(workspace: Workspace, run_id: str) -> float:
    """The processor seconds that a look of the dispatcher takes for each worker."""
    at_work = [AtWork(workspace.run(run_id), 0, Endless()) for _ in range(LOOKED_AT)]
    for one in at_work:
        one.goes_on()  # the first look remembers
    return spent(lambda: [one.goes_on() for one in at_work]) / LOOKED_AT


LOOKS: dict[str, Callable[[Workspace, dict[str, int]], Any]] = {
    "sync": lambda workspace, _: Index(workspace).sync(),
    "look": pending,
}


def look(name: str, root: str, times: int) -> None:
    """Does it so many times, in a process that is watched."""
    known: dict[str, int] = {}
    for _ in range(times):
        LOOKS[name](Workspace(root), known)


def operations_of(name: str, folder: Path) -> float:
    """File system operations of one more `sync` or look of the dispatcher, for each run."""
    root = folder / "workspace"
    counts = []
    for times in (1, 2):
        code = f"from benchmarks.many_runs import look; look({name!r}, {str(root)!r}, {times})"
        counts.append(operations([sys.executable, "-c", code], root).total())
    return (counts[1] - counts[0]) / len(Workspace(root).run_ids())


def operations_of_a_run(folder: Path) -> int:
    """File system operations of the worker that carries out such a run."""
    workspace = Workspace(folder / "watched").ensure()
    run_id = api.submit(workspace, cut_short())
    return operations([sys.executable, "-m", "kdcore", "worker", run_id], workspace.root).total()


def operations(command: list[str], root: Path) -> Counter[str]:
    """The system calls of a command that name a file below `root` and may ask a file server, by their names."""
    with tempfile.NamedTemporaryFile("r", suffix=".strace") as log:
        watched = ["strace", "-f", "--seccomp-bpf", "-qq", "-y", "-o", log.name, "-e", f"trace={ASKED}", *command]
        subprocess.run(watched, env=environment(root), check=True, capture_output=True)
        return Counter(found[1] for line in log if str(root) in line and (found := CALL.match(line)))


def body(costs: list[Costs], rates: Rates) -> str:
    """The section: a table of actions, one of pages, and what is full first."""
    sizes = [f"{one.runs:,} runs" for one in costs]
    actions = [[name, *(_time(one.seconds[name]) for one in costs)] for name in costs[0].seconds]
    pages = [[name, *(_page(one.pages[name]) for one in costs)] for name in PAGES]
    return "\n\n".join(
        [
            "Copies of one finished run of the quickstart. Processor time of one process, which is what elapses on an "
            "idle machine with a local disk whose files are in memory.",
            table(["action", *sizes], actions),
            "The server's processor time until a page is whole, and what it sends (medians; a browser then draws it):",
            table(["page", *sizes], pages),
            limits(costs[-1], rates),
        ]
    )


def _page(visits: list[Visit]) -> str:
    times = [one.seconds for one in visits if one.seconds is not None]
    if len(times) < len(visits):
        return "over two minutes"
    return f"{_time(statistics.median(times))}, {statistics.median(one.bytes for one in visits) / 1e6:.2g} MB"


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"


def limits(costs: Costs, rates: Rates) -> str:
    """What is full first, in words."""
    nothing_new, look = (costs.seconds[name] / costs.runs for name in ("index: nothing new", "dispatcher's look"))
    a_run = costs.seconds["index: each new run"]
    return "\n".join(
        [
            "What is full first: on a network disk its operations, on a local one an open page.",
            "",
            f"- **An open page.** While a run is at work, Home, Runs and System look at all runs every "
            f"{LIVE_SECONDS:.0f} s: {1e6 * nothing_new:.0f} µs and {rates.sync:.1f} file system operations a run. One "
            f"such page keeps a core busy from {LIVE_SECONDS / nothing_new:,.0f} runs on.",
            f"- **The dispatcher** looks four times a second: {1e6 * look:.0f} µs and {rates.look:.1f} operations for "
            f"each run that has ended, {1e6 * rates.job:.0f} µs for each worker. A look takes a second from "
            f"{1 / look:,.0f} runs or {1 / rates.job:,.0f} workers on; beyond, free slots wait that much longer.",
            f"- **The index** takes in {rates.events / a_run:,.0f} events a second, or a run of {rates.events} events "
            f"in {1000 * a_run:.1f} ms; 100,000 runs are indexed again in {100_000 * a_run / 60:.0f} minutes.",
            f"- **The disk.** The worker of such a run makes {rates.worker:,} operations on the workspace: a thousand "
            f"workers with a run a minute, {1000 * rates.worker / 60:,.0f} a second. On a network disk that takes "
            f"0.5 ms for each, a page's look at 10,000 runs takes {10_000 * rates.sync * 0.0005:.0f} s.",
        ]
    )
