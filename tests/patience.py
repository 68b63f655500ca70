"""How long tests wait: for what must come true at all, and for what must come true soon."""

from __future__ import annotations

import os

from kdcore import machine

SECONDS = 300  # nothing that works takes so long, on however busy a machine
MILLISECONDS = 1000 * SECONDS


def stretched(seconds: float) -> float:
    """A bound that holds on an idle machine, longer by what each core has to do now."""
    return seconds * (1 + os.getloadavg()[0] / machine.cores())
