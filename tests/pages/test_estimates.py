"""How long a run will take, in words."""

from __future__ import annotations

import pytest

from kdcore.plan.estimate import Estimate
from pages.shared import estimates


@pytest.fixture
def load(monkeypatch):
    """Sets the load average of a machine of two cores."""
    monkeypatch.setattr("psutil.cpu_count", lambda: 2)
    return lambda value: monkeypatch.setattr("psutil.getloadavg", lambda: (value, value, value))


def test_a_busy_machine_is_said_and_makes_the_end_later(load):
    found = Estimate(40.0, "", low=30.0, high=48.0)
    load(0.3)
    assert estimates.words(found) == "30 to 50 s"
    assert not estimates.busy()
    load(9.0)
    assert estimates.words(found) == "30 s to 4 min (this machine is busy: load 9.0 on 2 cores)"


def test_without_experience_there_is_no_estimate(load):
    assert estimates.words(Estimate(None, "Nothing has run.")) == "no estimate yet"
