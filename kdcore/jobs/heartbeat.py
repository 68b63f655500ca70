"""Signs of life of a worker: a file that it touches every second, and the dispatcher that looks at it."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

from kdcore.files import read_json, write_json
from kdcore.workspace.state import HEARTBEAT, beat

EVERY_SECONDS = 1.0
SILENCE_SECONDS = 30.0
LONGEST_LOOK = 2.0  # s; time between two looks beyond this does not count: this machine was asleep, or too busy


class Heartbeat:
    """The worker's part. The file says which process holds the run's lock; that it changes says that it lives."""

    def __init__(self, folder: Path):
        self._path = folder / HEARTBEAT
        self._next = time.monotonic() + EVERY_SECONDS
        with contextlib.suppress(OSError):
            write_json(self._path, {"process": os.getpid(), "host": socket.gethostname(), "started": time.time()})

    def beat(self) -> None:
        """Touches the file, at most once a second."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + EVERY_SECONDS
            with contextlib.suppress(OSError):
                os.utime(self._path)


class Watch:
    """The dispatcher's part: how long a run's heartbeat has not changed while somebody looked.

    No clock is compared with that of another machine, and a laptop that sleeps stops both sides alike.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic):
        self._folder, self._clock = folder, clock
        self._seen, self._looked, self._silent = beat(folder), clock(), 0.0
        self._said = False

    def look(self) -> None:
        """To be called again and again; after 30 s of silence `status.json` says since when."""
        now, seen = self._clock(), beat(self._folder)
        if seen != self._seen:
            self._seen, self._silent, self._said = seen, 0.0, False
        else:
            self._silent += min(now - self._looked, LONGEST_LOOK)
        self._looked = now
        if self._silent >= SILENCE_SECONDS and not self._said:
            self._said = True
            path = self._folder / "status.json"
            if status := read_json(path, None):  # None: somebody has started the worker by hand
                silent = {"since": time.time() - self._silent, "heartbeat": seen}
                write_json(path, status | {"silent": silent})
