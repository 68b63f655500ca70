"""A class on one server: what pages cost while many sessions are open and some of them work.

`python -m benchmarks.class_server [--open 60] [--active 20] [--seconds 120] [--home FOLDER]`: opens the sessions over
websockets on the loopback, each as a person of its own who has signed in. Those that are active open one page after the
other, with pauses; all ask for what their browser would ask for on a timer. Ends after the seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.dashboard import dashboard, fill, until_quiet
from benchmarks.results import SCALE, publish, table
from kdcore import machine
from kdcore.workspace import people
from kdcore.workspace.workspace import Workspace
from pages.people.cookie import COOKIE

PAGES = {"": "Home", "lessons": "Lessons", "runs": "Runs", "compare": "Compare", "layers": "Layers", "class": "Class"}
PAUSE = 10.0  # seconds between two pages of an active session, on average
PATIENCE = 120.0  # seconds for one page
MOST_SESSIONS, MOST_SECONDS = 500, 3600


class Load(NamedTuple):
    """Seconds of each page that was opened, by its name; pages that never came; the server's memory in bytes
    when it was empty, with all sessions open, and last, and its processor time a second."""

    pages: dict[str, list[float]]
    lost: int
    empty: int
    full: int
    last: int
    cores: float


class Session:
    """One browser's websocket."""

    def __init__(self, socket: ClientConnection):
        self.socket = socket
        self.finished = asyncio.Event()
        self.timers: dict[str, asyncio.Task[None]] = {}
        self.page = ""
        self.received = 0  # bytes

    async def listen(self) -> None:
        """Takes what the server sends until the end."""
        async for data in self.socket:
            self.received += len(data)
            message = ForwardMsg.FromString(data)
            kind = message.WhichOneof("type")
            if kind == "script_finished" and message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
                self.finished.set()
            elif kind == "auto_rerun":
                asked = message.auto_rerun
                self.timers[asked.fragment_id] = asyncio.create_task(self._again(asked.fragment_id, asked.interval))

    async def open(self, page: str) -> float:
        """The seconds until the page is whole. Raises TimeoutError."""
        for timer in self.timers.values():
            timer.cancel()
        self.timers, self.page = {}, page
        self.finished.clear()
        started = time.perf_counter()
        await self._rerun()
        async with asyncio.timeout(PATIENCE):
            await self.finished.wait()
        return time.perf_counter() - started

    async def _again(self, fragment: str, interval: float) -> None:
        while True:
            await asyncio.sleep(interval)
            await self._rerun(fragment)

    async def _rerun(self, fragment: str = "") -> None:
        message = BackMsg()
        message.rerun_script.page_name = self.page
        message.rerun_script.fragment_id = fragment
        message.rerun_script.is_auto_rerun = bool(fragment)
        await self.socket.send(message.SerializeToString())


@contextlib.asynccontextmanager
async def browser(address: str, token: str = "") -> AsyncIterator[Session]:
    """A session of the dashboard at this address, of the person of a class who has this token."""
    async with connect(
        f"{address.replace('http', 'ws')}/_stcore/stream",
        subprotocols=["streamlit"],
        max_size=None,
        additional_headers={"Cookie": f"{COOKIE}={token}"} if token else {},
        ping_interval=None,
    ) as socket:
        session = Session(socket)
        listening = asyncio.create_task(session.listen())
        try:
            yield session
        finally:
            for task in (listening, *session.timers.values()):
                task.cancel()


async def load(address: str, server: psutil.Process, tokens: list[str], active: int, seconds: float) -> Load:
    """Opens a session for each token, one after the other; the first so many of them work for the seconds."""
    empty, pages, lost = _memory(server), defaultdict(list), 0

    async def visit(session: Session, name: str, page: str) -> None:
        nonlocal lost
        try:
            pages[name].append(await session.open(page))
        except TimeoutError:
            lost += 1

    async with contextlib.AsyncExitStack() as stack:
        sessions = []
        for token in tokens:
            session = await stack.enter_async_context(browser(address, token))
            await visit(session, "first page of a session", "")
            sessions.append(session)
        full, before, began = _memory(server), _processor(server), time.monotonic()
        deadline = began + seconds

        async def work(session: Session, seed: int) -> None:
            dice = random.Random(seed)
            while (pause := dice.uniform(0.5, 1.5) * PAUSE) < deadline - time.monotonic():
                await asyncio.sleep(pause)
                page = dice.choice(list(PAGES))
                await visit(session, PAGES[page], page)

        await asyncio.gather(*(work(one, seed) for seed, one in enumerate(sessions[:active])))
        cores = (_processor(server) - before) / (time.monotonic() - began)
        return Load(dict(pages), lost, empty, full, _memory(server), cores)


def _memory(server: psutil.Process) -> int:
    return int(server.memory_info().rss)


def _processor(server: psutil.Process) -> float:
    times = server.cpu_times()
    return float(times.user + times.system)


def body(found: Load, sessions: int, active: int, seconds: float) -> str:
    """The tables of docs/scale.md."""
    rows = []
    for name, times in found.pages.items():
        numbers = (statistics.median(times), np.percentile(times, 95), max(times))
        rows.append([name, str(len(times)), *(f"{number:.2f}" for number in numbers)])
    each = (found.full - found.empty) / sessions / 2**20
    sizes = {"no session": found.empty, f"{sessions} sessions": found.full, "at the end": found.last}
    memory = [[name, f"{value / 2**20:.0f}"] for name, value in sizes.items()]
    return (
        f"{sessions} sessions open, {active} of them active for {seconds:.0f} s: each opens a page every "
        f"{PAUSE:.0f} s on average. The server used {found.cores:.2f} cores; {found.lost} pages took more than "
        f"{PATIENCE:.0f} s.\n\n"
        + table(["page", "opened", "median (s)", "p95 (s)", "slowest (s)"], rows)
        + "\n\n"
        + table(["memory of the server", "MiB"], memory)
        + f"\n\n{each:.1f} MiB a session."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--open", type=int, default=60, help=f"sessions, up to {MOST_SESSIONS}")
    parser.add_argument("--active", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=120, help=f"up to {MOST_SECONDS}")
    parser.add_argument("--home", type=Path, help="a workspace to serve, in which people are added; default: a new one")
    parser.add_argument("--wait", type=float, default=0, help="seconds for the machine to become quiet, at most")
    asked = parser.parse_known_args()[0]
    sessions, seconds = min(asked.open, MOST_SESSIONS), min(asked.seconds, MOST_SECONDS)
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(asked.home or Path(folder) / "workspace").ensure()
        if not asked.home:
            fill(workspace, 20)
        code = people.codes(workspace).code
        tokens = [people.admit(workspace, code, f"Student {number}").token for number in range(sessions)]
        until_quiet(asked.wait)
        with dashboard(workspace, "class") as (address, server):
            found = asyncio.run(load(address, server, tokens, min(asked.active, sessions), seconds))
    command = f"python -m benchmarks.class_server --open {sessions} --active {asked.active} --seconds {seconds:g}"
    crowded = f"Load average over cores at the end: {machine.crowding():.1f}.\n\n"
    publish("A class on one server", command, crowded + body(found, sessions, asked.active, seconds), SCALE)


if __name__ == "__main__":
    main()
