"""A worker that hangs: it is said since when, and a cancel or a delete ends it all the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from kdcore.files import held, read_json, write_json
from kdcore.jobs import api
from kdcore.jobs.heartbeat import Heartbeat, Watch
from kdcore.jobs.process import start
from kdcore.paths import CHECKOUT
from kdcore.report import format
from kdcore.workspace.index import Index
from kdcore.workspace.state import HEARTBEAT, silent_since
from kdcore.workspace.workspace import UnknownRun
from tests import patience
from tests.jobs.conftest import until
from tests.small import small

needs_stop = pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no such signal here")
LONG = ("seeds=[0]", "controls=[]", "compress=[]", "teacher.train.steps=20000", "measure.timing_seconds=0")


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def watched(tmp_path):
    """A run's folder with a beating heart, and a function that looks at it every quarter of a second for a while."""
    write_json(tmp_path / "status.json", {"turn": 1, "attempt": 1})
    Heartbeat(tmp_path)
    clock = Clock()
    watch = Watch(tmp_path, clock)

    def look(seconds, every=0.25):
        for _ in range(int(seconds / every)):
            clock.now += every
            watch.look()
        return silent_since(tmp_path, read_json(tmp_path / "status.json"))

    return tmp_path, look


def touch(folder):
    later = os.stat(folder / HEARTBEAT).st_mtime_ns + 10**9
    os.utime(folder / HEARTBEAT, ns=(later, later))


def test_half_a_minute_of_silence_is_told_and_forgotten_with_the_next_beat(watched):
    folder, look = watched
    assert look(29) is None
    assert time.time() - look(2) == pytest.approx(30, abs=3)
    touch(folder)
    assert silent_since(folder, read_json(folder / "status.json")) is None
    assert look(29) is None
    assert look(2), "silence counts from the last beat, each time"


def test_a_machine_that_sleeps_gives_no_alarm(watched):
    _, look = watched
    look(10)
    assert look(8 * 3600, every=8 * 3600) is None


def test_the_list_says_since_when(workspace):
    run_id = api.submit(workspace, small(*LONG))
    folder = workspace.run(run_id)
    Heartbeat(folder)
    beat = os.stat(folder / HEARTBEAT).st_mtime_ns
    status = {"turn": 1, "attempt": 1, "host": "elsewhere", "process": 1, "started": time.time()}
    write_json(folder / "status.json", status | {"silent": {"since": time.time() - 60, "heartbeat": beat}})
    with held_lock(folder):
        row = synced(workspace, run_id)
        assert "running, not responding since " in format.state(row.state, row.silent_since)
        touch(folder)
        assert synced(workspace, run_id).silent_since is None
    assert synced(workspace, run_id).silent_since is None


def held_lock(folder):
    from kdcore.files import lock

    return lock(folder / "lock")


def synced(workspace, run_id):
    index = Index(workspace)
    index.sync()
    return index.run(run_id)


def at_work(workspace, run_id):
    """The worker's process, once it trains."""
    folder = workspace.run(run_id)
    until(lambda: (row := synced(workspace, run_id)) and row.stage and row.progress > 0, seconds=120)
    return psutil.Process(read_json(folder / HEARTBEAT)["process"])


IMPATIENT = """
import sys
from kdcore.jobs import dispatcher, heartbeat
from kdcore.workspace.workspace import Workspace
heartbeat.SILENCE_SECONDS = 3.0
dispatcher.dispatch(Workspace(sys.argv[1]))
"""


@pytest.fixture
def dispatcher(workspace):
    """A dispatcher that calls three seconds of silence long."""
    serving = subprocess.Popen([sys.executable, "-c", IMPATIENT, str(workspace.root)], cwd=CHECKOUT)
    yield
    api.stop_all(workspace)
    serving.wait(timeout=60)


@needs_stop
@pytest.mark.slow
def test_a_worker_that_hangs_is_told_waited_for_by_others_and_ended_by_a_cancel(workspace, dispatcher):
    hangs = api.submit(workspace, small(*LONG))
    worker = at_work(workspace, hangs)
    worker.send_signal(signal.SIGSTOP)
    until(lambda: synced(workspace, hangs).silent_since, seconds=120)
    waits = api.submit(workspace, small(*LONG, "name=Waits"))
    start(workspace, "worker", waits)
    until(lambda: synced(workspace, waits).state == "waiting", seconds=120)
    assert synced(workspace, waits).silent_since is None
    assert synced(workspace, hangs).state == "running"
    asked = time.monotonic()
    api.request(workspace, hangs, "cancel")
    until(lambda: synced(workspace, hangs).state == "cancelled")
    assert time.monotonic() - asked < patience.stretched(5)
    until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)
    until(lambda: synced(workspace, waits).state == "running", seconds=120)
    api.request(workspace, waits, "cancel")
    until(lambda: synced(workspace, waits).state == "cancelled")


@needs_stop
@pytest.mark.parametrize("wanted", ["cancel", "delete"])
def test_where_no_dispatcher_lives_the_call_itself_ends_what_hangs(workspace, wanted):
    run_id = api.submit(workspace, small(*LONG))
    folder = workspace.run(run_id)
    start(workspace, "worker", run_id)
    until(lambda: held(folder / "lock") and (folder / HEARTBEAT).exists(), seconds=120)
    worker = psutil.Process(read_json(folder / HEARTBEAT)["process"])
    worker.send_signal(signal.SIGSTOP)
    asked = time.monotonic()
    if wanted == "cancel":
        api.request(workspace, run_id, "cancel")
        assert synced(workspace, run_id).state == "cancelled"
    else:
        api.delete(workspace, run_id)
        with pytest.raises(UnknownRun):
            workspace.run(run_id)
    assert time.monotonic() - asked < patience.stretched(5)
