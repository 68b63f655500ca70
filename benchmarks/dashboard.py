"""How fast pages and controls are with many finished runs: from the click to the finished page, in headless Chromium.

On a busy machine it waits for a quieter one, for `--wait` seconds at most; the load is part of the result.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
import psutil
from playwright.sync_api import Page, sync_playwright

from benchmarks.results import publish, table
from kdcore import machine
from kdcore.files import read_json, write_json
from kdcore.jobs import api
from kdcore.jobs.follow import follow
from kdcore.presets import preset
from kdcore.recipe import Recipe, override, parse
from kdcore.workspace.index import Index
from kdcore.workspace.workspace import Workspace

SEED, AIM, AIM_OF_STROKE = 0, 300, 150  # ms
SESSIONS = 8
PATIENCE = 120_000  # ms for anything, on a machine that may be busy
UNSEEN = 100  # ms
QUIET = 1.5  # crowding at which the measurement begins
PAGES = {
    "Home": "Make a neural network small",
    "Lessons": "Lessons",
    "New experiment": "New experiment",
    "Runs": "Runs",
    "Search": "Search",
    "Compare": "Compare",
    "Soft targets": "Soft targets",
    "Try it": "Try it",
    "Trust": "Trust",
    "Layers": "Layers",
    "Reference": "Reference",
    "System": "System",
}
CONTROLS = {  # by page: two buttons that are pressed in turn
    "Runs": ("Loss", "Validation accuracy"),
    "Compare": ("Bubbles", "Size and latency"),
    "Soft targets": ("pruned 50 %", "pruned 50 %"),
    "Layers": ("By filter", "By weight"),
}
CHECKOUT = Path(__file__).parent.parent

# From the click, or without `kind` the end of the next stroke, until the script has ended, the page's own title stands
# there, nothing on it is stale and every chart is drawn. A run so short that the page never showed it counts UNSEEN.
WATCH = """([kind, label, title, charts, patience, unseen]) => { window.measured = (async () => {
  const app = document.querySelector('[data-testid="stApp"]');
  const candidates = kind ? [...document.querySelectorAll(kind)] : [];
  const titled = () => [...document.querySelectorAll('h1')].some(one => one.innerText.trim() === title);
  let ran = !titled();  // a page that was not there has run once its title is
  const watch = new MutationObserver(() => { ran = true; });  // a short run falls between two frames
  watch.observe(app, {attributeFilter: ['data-test-script-state']});
  if (!kind) await new Promise(go => window.addEventListener('pointerup', go, {once: true, capture: true}));
  const started = performance.now();
  candidates.find(one => one.innerText.trim().endsWith(label))?.click();
  const finished = () => (ran || performance.now() - started > unseen)
    && titled() && app.getAttribute('data-test-script-state') === 'notRunning'
    && !document.querySelector('[data-stale="true"]')
    && [...document.querySelectorAll(charts)].every(chart => chart.querySelector('.main-svg'));
  while (!finished() && performance.now() - started < patience)
    await new Promise(requestAnimationFrame);
  watch.disconnect();
  if (!finished()) throw new Error(label + ' did not finish');
  return performance.now() - started;
})(); }"""
MEASURED = "window.measured"
CHARTS = '[class*="st-key-plot_"]'
LINK, BUTTON = '[data-testid="stTopNavLink"]', "button"
STROKE = "Try it: a stroke"


class Visit(NamedTuple):
    """Milliseconds from the click to the finished page, and of processor time on the server."""

    wall: float
    server: float


def main() -> None:
    asked = parsed()
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder) / "workspace").ensure()
        fill(workspace, asked.runs)
        with dashboard(workspace) as (address, server):
            until_quiet(asked.wait)
            crowded = machine.crowding()
            times = visit(address, server, asked.rounds)
            opened = sessions(address, server)
    slow = [name for name, found in times.items() if np.percentile([one.wall for one in found], 95) >= aim(name)]
    body = (
        f"{asked.runs:,} finished runs in the index; {asked.rounds} visits of each page in random order after the "
        "first, from the click to the finished page, and as many presses of each control, in headless Chromium. The "
        f"machine made everything {crowded:.1f} to {machine.crowding():.1f} times as slow as an idle one (its load "
        "average), so the server's processor time, which does not depend on that, stands beside. Aim: under "
        f"{AIM} ms, and {AIM_OF_STROKE} ms from the end of a stroke to the answers.\n\n"
        + table(["page", "median (ms)", "p95 (ms)", "slowest (ms)", "server (CPU ms)"], rows(times))
        + f"\n\nA new session on Home takes {statistics.median(opened):.2f} s of processor time on the server, "
        f"the slowest of {SESSIONS} {max(opened):.2f} s; the first of all, which fills the caches, is left out."
        + f"\n\n{'Over the aim at p95: ' + ', '.join(slow) if slow else 'Everything is under the aim at p95'}."
    )
    publish("Pages", f"python -m benchmarks.dashboard --runs {asked.runs} --rounds {asked.rounds}", body)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=15, help="visits of each page")
    parser.add_argument("--wait", type=float, default=3600, help="seconds for the machine to become quiet, at most")
    return parser.parse_known_args()[0]


def aim(name: str) -> int:
    return AIM_OF_STROKE if name == STROKE else AIM


def rows(times: dict[str, list[Visit]]) -> list[list[str]]:
    made = []
    for name, found in times.items():
        wall = [one.wall for one in found]
        numbers = (
            statistics.median(wall),
            np.percentile(wall, 95),
            max(wall),
            statistics.median(x.server for x in found),
        )
        made.append([name, *(f"{number:.0f}" for number in numbers)])
    return made


def fill(workspace: Workspace, runs: int) -> None:
    """One real run, cut short, and copies of it under other names until there are so many."""
    copies(workspace, real_run(workspace), range(runs - 1))
    Index(workspace).sync()


def real_run(workspace: Workspace) -> str:
    """Carries out the quickstart, cut short; returns the run's id."""
    run_id = api.submit(workspace, cut_short(), "quickstart")
    *_, row = follow(workspace, run_id)
    assert row.state == "done", row.error
    api.stop_all(workspace)
    return run_id


def cut_short() -> Recipe:
    """The quickstart with few steps."""
    cuts = ["teacher.train.steps=60", "train.steps=60", "compress.0.finetune.steps=30", "measure.timing_seconds=3"]
    return parse(override(preset("quickstart").recipe.document(), cuts))


def copies(workspace: Workspace, run_id: str, numbers: range) -> None:
    """Copies of a run's files, under a name, an id and a time of its own for each number."""
    original = workspace.run(run_id)
    kept = {path.name: path.read_bytes() for path in original.iterdir() if path.suffix in (".json", ".jsonl", ".txt")}
    meta = read_json(original / "meta.json")
    for number in numbers:
        copy = workspace.runs / f"{run_id[:-6]}{number:06x}"
        copy.mkdir()
        for name, content in kept.items():
            (copy / name).write_bytes(content)
        own = {"name": f"Experiment {number}", "created": meta["created"] - 60 * number}
        write_json(copy / "meta.json", meta | own)


@contextmanager
def dashboard(workspace: Workspace, serves: str = "") -> Iterator[tuple[str, psutil.Process]]:
    """The dashboard on a free port, for this workspace: its address and its process. Ended afterwards.

    `serves`: "class" as for `kdcore serve --class`.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--server.port", str(port), "--server.headless", "true"]
    server = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", "app.py", *options],
        cwd=CHECKOUT,
        env=os.environ | {"KDCORE_HOME": str(workspace.root), "KDCORE_SERVES": serves},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        address = f"http://127.0.0.1:{port}"
        wait_for(f"{address}/_stcore/health")
        yield address, psutil.Process(server.pid)
    finally:
        server.terminate()
        server.wait()


def wait_for(address: str) -> None:
    deadline = time.monotonic() + PATIENCE / 1000
    while True:
        try:
            urlopen(address, timeout=1).close()
            return
        except (URLError, OSError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def until_quiet(wait: float) -> None:
    """Waits for a machine that has nothing else to do, so many seconds at most."""
    deadline = time.monotonic() + wait
    while machine.crowding() > QUIET and time.monotonic() < deadline:
        time.sleep(10)


def sessions(address: str, server: psutil.Process) -> list[float]:
    """Seconds of processor time that the server spends on each of a few new sessions, one after the other."""
    opened = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        for _ in range(SESSIONS + 1):
            before = spent(server)
            context = browser.new_context()
            page = context.new_page()
            page.goto(address, timeout=PATIENCE)
            page.get_by_role("heading", level=1).wait_for(timeout=PATIENCE)
            page.wait_for_timeout(2000)  # the rest of the page
            opened.append(spent(server) - before)
            context.close()
        browser.close()
    return opened[1:]


def visit(address: str, server: psutil.Process, rounds: int) -> dict[str, list[Visit]]:
    """The visits of each page, and the presses of each control."""
    controls = {f"{page}: {first}": (page, (first, second)) for page, (first, second) in CONTROLS.items()}
    times: dict[str, list[Visit]] = {name: [] for name in [*PAGES, *controls, STROKE]}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        page = browser.new_page(viewport={"width": 1280, "height": 1600})
        page.goto(address)
        for name in [*PAGES, *PAGES]:  # the first visit of each page does not count
            click(page, server, LINK, name, PAGES[name])
        order = random.Random(SEED)
        for _ in range(rounds):
            for name in order.sample(list(PAGES), len(PAGES)):
                times[name].append(click(page, server, LINK, name, PAGES[name]))
        for name, (place, buttons) in controls.items():
            click(page, server, LINK, place, PAGES[place])
            for number in range(rounds):
                times[name].append(click(page, server, BUTTON, buttons[number % 2], PAGES[place]))
        click(page, server, LINK, "Try it", PAGES["Try it"])
        stroke(page, server)  # the first answers come with the table and the chart
        times[STROKE] = [stroke(page, server) for _ in range(rounds)]
        browser.close()
    return times


def click(page: Page, server: psutil.Process, kind: str, label: str, title: str) -> Visit:
    page.locator(kind).filter(has_text=re.compile(f"{re.escape(label)}$")).first.wait_for(timeout=PATIENCE)
    before = spent(server)
    page.evaluate(WATCH, [kind, label, title, CHARTS, PATIENCE, UNSEEN])
    return answered(page, server, before)


def stroke(page: Page, server: psutil.Process) -> Visit:
    """One more line on the canvas of Try it, somewhere."""
    box = page.locator("#canvas").bounding_box(timeout=PATIENCE)
    assert box
    (x, y), (to_x, to_y) = ((random.uniform(0.3, 0.7), random.uniform(0.2, 0.8)) for _ in range(2))
    page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + to_x * box["width"], box["y"] + to_y * box["height"], steps=5)
    before = spent(server)
    page.evaluate(WATCH, ["", STROKE, PAGES["Try it"], CHARTS, PATIENCE, UNSEEN])
    page.mouse.up()
    return answered(page, server, before)


def spent(server: psutil.Process) -> float:
    """Seconds of processor time so far."""
    return sum(server.cpu_times()[:2])


def answered(page: Page, server: psutil.Process, before: float) -> Visit:
    wall: float = page.evaluate(MEASURED)
    page.wait_for_timeout(300)  # what the browser still draws belongs to this visit, not to the next
    return Visit(wall, 1000 * (spent(server) - before))


if __name__ == "__main__":
    main()
