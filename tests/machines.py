"""Machines other than this one, for what depends on cores and devices."""

from kdcore import machine
from kdcore.plan import processes


def two_cores(monkeypatch):
    """Two cores, one of them idle, no GPU; a second process pays however little there is to train."""
    monkeypatch.setattr(processes, "WORTH_STEPS", 1)
    monkeypatch.setattr(machine, "cores", lambda: 2)
    monkeypatch.setattr(machine, "threads", lambda: 1)
    monkeypatch.setattr(machine, "device", lambda: "cpu")
