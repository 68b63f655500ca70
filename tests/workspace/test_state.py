"""A run's state where its worker has not come to the lock, or will never come."""

from __future__ import annotations

import socket
import subprocess
import sys
import time

import pytest

from kdcore.files import write_json
from kdcore.jobs.process import end_worker
from kdcore.workspace.state import state
from tests.damage.runs import META


@pytest.fixture
def launched(tmp_path):
    """A run whose worker was launched and holds no lock."""
    worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "kdcore"])
    write_json(tmp_path / "meta.json", META)
    status = {"attempt": 1, "turn": 1, "process": worker.pid, "host": socket.gethostname(), "started": time.time()}
    write_json(tmp_path / "status.json", status)
    yield tmp_path, worker, status
    worker.kill()
    worker.wait()


def test_a_worker_that_is_still_starting_runs(launched):
    folder, _, _ = launched
    assert state(folder) == "running"


def test_a_worker_that_was_killed_is_an_interruption_before_and_after_it_is_reaped(launched):
    folder, worker, _ = launched
    worker.kill()
    time.sleep(0.2)
    assert state(folder) == "interrupted"
    worker.wait()
    assert state(folder) == "interrupted"


def test_another_process_with_the_workers_number_is_not_the_worker(launched):
    folder, _, status = launched
    write_json(folder / "status.json", status | {"started": time.time() - 3600})
    assert state(folder) == "interrupted"


def test_a_worker_of_another_host_is_told_by_its_lock_alone(launched):
    folder, _, status = launched
    write_json(folder / "status.json", status | {"host": "elsewhere"})
    assert state(folder) == "interrupted"


def test_a_process_that_is_no_worker_is_taken_for_none(launched):
    folder, _, status = launched
    others = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        write_json(folder / "status.json", status | {"process": others.pid})
        assert state(folder) == "interrupted"
        assert end_worker(folder, patience=0.0)
        assert others.poll() is None
    finally:
        others.kill()
        others.wait()
