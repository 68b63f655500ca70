"""The soak itself on a few runs, and that it would see growth."""

from __future__ import annotations

import psutil
import pytest

from benchmarks import soak
from kdcore.workspace.workspace import Workspace
from tests import patience

RUNS = 8


def sample(runs, **numbers):
    return soak.Sample(runs, *(numbers.get(name, 10) for name in soak.Sample._fields[1:]))


def test_growth_is_counted_after_the_caches_are_full():
    samples = [sample(runs, server_files=50 if runs < 25 else 7 + runs / 10) for runs in range(0, 101, 5)]
    assert soak.growth(samples, "server_files") == pytest.approx(10)
    assert soak.growth(samples, "processes") == pytest.approx(0)


@pytest.mark.slow
def test_a_few_runs_leave_nothing_open(tmp_path):
    workspace = Workspace(tmp_path / "workspace").ensure()
    samples = soak.soak(workspace, RUNS, RUNS * patience.SECONDS)
    assert samples[-1].runs == RUNS
    first = [one for one in samples if one.runs <= RUNS / 2]
    second = [one for one in samples if one.runs > RUNS / 2]
    for name in ("dispatcher_files", "dispatcher_threads", "server_files", "server_threads", "processes"):
        assert min(getattr(one, name) for one in second) <= max(getattr(one, name) for one in first), name
    assert second[-1].dispatcher_memory - first[-1].dispatcher_memory < 2 * 2**20
    assert not psutil.Process().children()
